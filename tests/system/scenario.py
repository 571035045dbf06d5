"""A scenario out of a seed: suppliers, customers and orders over some rounds.

What lies on two topics has no order between them, so all that depends on an order is parted by rounds: within one, the
inputs of a relationship lie on one topic under one key, settings have rounds of their own, and pairs that share a
number act in turns.
"""

from dataclasses import dataclass
from datetime import datetime
from random import Random

from model.envelope import read_event
from model.records import DECISIONS, ORDERS, REQUESTS, Record
from system.order_inputs import OrderInputs
from system.parties import Pair, pairs, suppliers
from system.plan import Places, Plan, Round
from system.relationship_inputs import RelationshipInputs
from system.settings_inputs import SettingsInputs
from system.stage import RoundFrame, Stage
from system.unreadable_inputs import LARGEST, UnreadableInputs

_SETTINGS, _RELATIONSHIPS = "settings", "relationships"
_ROUNDS = (
    _SETTINGS,
    _RELATIONSHIPS,
    _RELATIONSHIPS,
    _SETTINGS,
    _RELATIONSHIPS,
    _RELATIONSHIPS,
    _RELATIONSHIPS,
    _SETTINGS,
    _RELATIONSHIPS,
)
_ORDERS = (
    1,
    1,
    6,
    1,
    3,
    3,
    2,
    1,
    2,
)  # a round's part of all orders; one round has a crowd, in which a worker is killed
_EARLY = 0.25  # of a round's orders travel beside the inputs of the relationships


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is played."""

    orders: int = 20_000
    relationships: int = 3_000
    inputs: int = 8_000
    clocks_agree: bool = True  # of the workers


def scenario(seed: int, now: datetime, size: Size) -> Plan:
    """The same plan for the same seed, moment and size."""
    return _Scenario(seed, now, size).plan()


class _Scenario:
    def __init__(self, seed: int, now: datetime, size: Size) -> None:
        self.seed, self.now, self.size = seed, now, size
        self.rng = Random(seed)
        self.stage = Stage(rng=self.rng, now=now, clocks_agree=size.clocks_agree)
        self.parties = suppliers(max(4, min(24, size.relationships // 100)))
        self.pairs = pairs(self.rng, self.parties, size.relationships)
        self.settings = SettingsInputs(stage=self.stage)
        self.relationships = RelationshipInputs(stage=self.stage)
        self.orders = OrderInputs(stage=self.stage, parties=self.parties, pairs=self.pairs)
        self.unreadable = UnreadableInputs(stage=self.stage, pairs=self.pairs)

    def plan(self) -> Plan:
        places = Places(self.now)
        shares = self._shares()
        rounds = []
        for number, kind in enumerate(_ROUNDS):
            made = self._round(kind, self.stage.frame(number, len(_ROUNDS)), shares[number])
            rounds.append(
                Round(
                    early=tuple(places.place(record) for record in made.early),
                    relationships=tuple(places.place(record) for record in made.relationships),
                    orders=tuple(places.place(record) for record in made.orders),
                )
            )
        owners = {party.id: party.index for party in self.parties}
        return Plan(seed=self.seed, now=self.now, suppliers=owners, rounds=tuple(rounds))

    def _shares(self) -> list[dict[int, int]]:
        """Per round, how many inputs each pair has; each pair has one at least, and those of a group act in turns."""
        shares: list[dict[int, int]] = [{} for _ in _ROUNDS]
        playing = [number for number, kind in enumerate(_ROUNDS) if kind == _RELATIONSHIPS]
        more = max(0, self.size.inputs - len(self.pairs))
        busy = self.pairs[:: len(self.pairs) // 300 + 1]
        acting = [*self.pairs, *self.rng.choices(self.pairs, k=more - more // 3), *self.rng.choices(busy, k=more // 3)]
        for pair in acting:
            own = playing if pair.group is None else playing[pair.turn :: 2]
            number = self.rng.choice(own)
            shares[number][pair.serial] = shares[number].get(pair.serial, 0) + 1
        return shares

    def _round(self, kind: str, frame: RoundFrame, shares: dict[int, int]) -> Round:
        lanes = self._settings(frame) if kind == _SETTINGS else self._inputs(frame, shares)
        share = self.size.orders * _ORDERS[frame.number] // sum(_ORDERS)
        rest = self.size.orders - sum(self.size.orders * part // sum(_ORDERS) for part in _ORDERS)
        orders = share + (rest if frame.number == 0 else 0)
        early = int(orders * _EARLY)
        beside = self.orders.of_leg(early, frame, _earliest(lanes, self.pairs))
        travelling = self._with_unreadable(beside, frame, ORDERS)
        later = self._with_unreadable(self.orders.of_leg(orders - early, frame), frame, ORDERS)
        if frame.number == 1:
            later += [self.unreadable.too_large(ORDERS, frame), self.unreadable.of_size(ORDERS, frame, LARGEST)]
        self.orders.end_round()
        inputs = self._with_unreadable(_interleaved(self.rng, lanes), frame, REQUESTS, DECISIONS)
        return Round(early=tuple(travelling), relationships=tuple(inputs), orders=tuple(later))

    def _settings(self, frame: RoundFrame) -> list[list[Record]]:
        last = frame.number == max(number for number, kind in enumerate(_ROUNDS) if kind == _SETTINGS)
        lanes = []
        for party in self.parties:
            silent = party.index % 2 == 1 and not party.moves and party.longest_number == 20
            if frame.number == 0:
                lanes.append([] if silent else self.settings.first(party, frame))
            else:
                lanes.append(self.settings.more(party, frame, move=last))
        return lanes

    def _inputs(self, frame: RoundFrame, shares: dict[int, int]) -> list[list[Record]]:
        acting = [self.pairs[serial] for serial in shares]
        self.rng.shuffle(acting)
        lanes = [self.relationships.of_round(pair, shares[pair.serial], frame) for pair in acting]
        busy = {
            pair.customer_id for pair in self.pairs if pair.serial in shares or self.relationships.holds_texts(pair)
        }
        idle = [pair for pair in self.pairs if pair.customer_id not in busy]
        if idle:
            lanes.append(self.relationships.erasure(self.rng.choice(idle), frame))
        return lanes

    def _with_unreadable(self, records: list[Record], frame: RoundFrame, *topics: str) -> list[Record]:
        for _ in range(len(records) // 50 + 1):
            place = self.rng.randrange(len(records) + 1)
            records.insert(place, self.unreadable.one(self.rng.choice(topics), frame))
        return records


def _interleaved(rng: Random, lanes: list[list[Record]]) -> list[Record]:
    """One stream out of all, each lane in its own order."""
    turns = [number for number, lane in enumerate(lanes) for _ in lane]
    rng.shuffle(turns)
    rest = [iter(lane) for lane in lanes]
    return [next(rest[turn]) for turn in turns]


def _earliest(lanes: list[list[Record]], pairs: list[Pair]) -> dict[object, datetime]:
    """Per pair and supplier the earliest time that a round's inputs are about."""
    about: dict[tuple[object, object], object] = {}
    for pair in pairs:
        about[pair.supplier.id, pair.customer_id] = pair
        about[pair.supplier.id, None] = pair.supplier
    earliest: dict[object, datetime] = {}
    for lane in lanes:
        for record in lane:
            event = read_event(record)
            if isinstance(event, str):
                continue
            subject = about.get((event.data.get("supplier_id"), event.data.get("customer_id")))
            earliest[subject] = min(event.time, earliest.get(subject, event.time))
    return earliest
