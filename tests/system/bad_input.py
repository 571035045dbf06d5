"""Bad input at scale: what is hostile and what is broken, between records in good order, as a plan to be played."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from random import Random

from bombs import BOMBS, KEY, NOTHING_IS_LEFT, a_bomb
from model.records import DECISIONS, ORDERS, REQUESTS, DeadLetter, Record
from system.expectations import Expectations, expectations
from system.hostile_records import hostile_records
from system.mutations import TOPICS, mutated
from system.plan import Places, Plan, Round
from system.reading import Place
from system.schema_records import made_by_schemas
from system.worlds import NOON, Draft, a_draft, start_anew

SLICE = 1_000  # records that are sent at once; then it is waited for what they lead to
GOOD_EVERY = 4  # so many bad ones between two in good order
ALONE_EVERY = 6  # slices: then comes one of good ones alone, as large, and says how fast the machine is by then
BOMBS_EVERY = 5  # slices: then each kind of bomb lies among the others
_MUTATED = 10  # from one record as the schemas describe it
_KNOWN = 4  # of so many records of the two relationship topics' and orders', one has a relationship already


@dataclass(frozen=True, kw_only=True)
class BadInput:
    """A plan, and what is known of its records beyond it."""

    plan: Plan
    good: frozenset[str]  # ids of the events in good order between the bad ones: each is told
    alone: frozenset[str]  # and of those that come by themselves
    bombs: Mapping[Place, bytes] = field(default_factory=dict)  # batches that are sent instead of the plan's record

    def expectations(self) -> Expectations:
        """Bombs leave nothing of their value, so the plan has none; but they are too large, not empty."""
        expected = expectations(self.plan)
        expected.dead_letters = [
            DeadLetter(record=letter.record, reason="too_large") if letter.record.place in self.bombs else letter
            for letter in expected.dead_letters
        ]
        return expected

    def up_to(self, rounds: int) -> "BadInput":
        """The first of its rounds."""
        return replace(self, plan=replace(self.plan, rounds=self.plan.rounds[:rounds]))


def bad_input(seed: int, now: datetime, *, generated: int, hostile_share: float = 1.0) -> BadInput:
    """The same for the same seed, moment and sizes."""
    start_anew()
    rng = Random(seed)
    drafts = [draft for draft in hostile_records() if rng.random() < hostile_share]
    drafts += _generated(rng, seed, generated)
    rng.shuffle(drafts)
    slices, alone = _slices(rng, list(_with_good_ones(drafts)))
    mixed = [draft for some in slices for draft in some]
    requests, decisions = _known(rng, mixed)
    places = Places(now)
    rounds: list[Round] = []
    bombs: dict[Place, bytes] = {}
    for some in (requests, decisions, *slices):
        placed = [places.place(draft.record(now)) for draft in some]
        bombs |= {record.place: _bomb(draft.bomb) for draft, record in zip(some, placed, strict=True) if draft.bomb}
        rounds.append(_round(placed))
    return BadInput(
        plan=Plan(seed=seed, now=now, suppliers=defaultdict(int), rounds=tuple(rounds)),
        good=frozenset(draft.id for draft in mixed if draft.is_good) - alone,
        alone=alone,
        bombs=bombs,
    )


def _slices(rng: Random, mixed: Sequence[Draft]) -> tuple[list[list[Draft]], frozenset[str]]:
    """Of bad ones and good ones; now and then with bombs among them, now and then only of good ones (whose ids are told)."""
    slices: list[list[Draft]] = []
    alone: set[str] = set()
    for number, start in enumerate(range(0, len(mixed), SLICE)):
        some = list(mixed[start : start + SLICE])
        if number % BOMBS_EVERY == 0:
            for name in BOMBS:
                some.insert(rng.randrange(len(some) + 1), _bomb_draft(rng, name))
        slices.append(some)
        if number % ALONE_EVERY == 0:
            slices.append([_good_one(turn) for turn in range(SLICE)])
            alone.update(draft.id for draft in slices[-1])
    return slices, frozenset(alone)


def _good_one(turn: int) -> Draft:
    draft = a_draft(TOPICS[turn % len(TOPICS)])
    draft.is_good = True
    return draft


def _bomb_draft(rng: Random, name: str) -> Draft:
    """What is left of it: a key and headers at the most."""
    left = name not in NOTHING_IS_LEFT
    draft = a_draft(rng.choice(TOPICS))
    draft.bomb, draft.key, draft.value = name, KEY if left else None, None
    draft.headers = list(_BOMB_HEADERS) if left else []
    draft.data = {}
    return draft


_BOMB_HEADERS: tuple[tuple[str, bytes | None], ...] = (("ce_id", b"bomb"), ("ce_source", b"/chaos"))


@cache
def _bomb(name: str) -> bytes:
    return a_bomb(name, _BOMB_HEADERS)


def _generated(rng: Random, seed: int, count: int) -> Iterator[Draft]:
    for topic, type_, data in made_by_schemas(seed, -(-count // _MUTATED)):
        for number in range(_MUTATED):
            draft = a_draft(topic, type_, data)
            yield mutated(rng, draft) if number else draft


def _with_good_ones(drafts: Iterable[Draft]) -> Iterator[Draft]:
    for number, draft in enumerate(drafts):
        yield draft
        if number % GOOD_EVERY == 0:
            yield _good_one(number // GOOD_EVERY)


def _known(rng: Random, mixed: list[Draft]) -> tuple[list[Draft], list[Draft]]:
    """Requests for what decisions and orders are about, and decisions for some orders: they find something there."""
    requests, decisions = [], []
    for draft in mixed:
        pair = {name: draft.data.get(name) for name in ("supplier_id", "customer_id")}
        if draft.topic == REQUESTS or not all(isinstance(id_, str) for id_ in pair.values()):
            continue
        is_told = draft.is_good and draft.topic == DECISIONS  # of a relationship that is unknown it would be parked
        if rng.randrange(_KNOWN) and not is_told:
            continue
        requests.append(_about(REQUESTS, pair))
        if draft.topic == ORDERS:
            decisions.append(_about(DECISIONS, {**pair, "decided_by": "desk", "customer_number": f"K {draft.serial}"}))
    return requests, decisions


def _about(topic: str, data: dict[str, object]) -> Draft:
    draft = a_draft(topic)
    draft.data = data
    before = (NOON - timedelta(days=2 if topic == REQUESTS else 1)).isoformat().encode()
    draft.headers = [(name, before if name == "ce_time" else text) for name, text in draft.headers]
    return draft.sealed()


def _round(records: Iterable[Record]) -> Round:
    records = list(records)
    return Round(
        early=(),
        relationships=tuple(record for record in records if record.topic != ORDERS),
        orders=tuple(record for record in records if record.topic == ORDERS),
    )
