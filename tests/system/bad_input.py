"""Bad input at scale: what is hostile and what is broken, between records in good order, as a plan to be played."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from random import Random

from model.records import DECISIONS, ORDERS, REQUESTS, Record
from system.hostile_records import hostile_records
from system.mutations import TOPICS, mutated
from system.plan import Places, Plan, Round
from system.schema_records import made_by_schemas
from system.worlds import NOON, Draft, a_draft, start_anew

SLICE = 1_000  # records that are sent at once; then it is waited for what they lead to
GOOD_EVERY = 4  # so many bad ones between two in good order
_MUTATED = 10  # from one record as the schemas describe it
_KNOWN = 4  # of so many records of the two relationship topics' and orders', one has a relationship already


def bad_input(seed: int, now: datetime, *, generated: int, hostile_share: float = 1.0) -> Plan:
    """The same plan for the same seed, moment and sizes."""
    start_anew()
    rng = Random(seed)
    drafts = [draft for draft in hostile_records() if rng.random() < hostile_share]
    drafts += _generated(rng, seed, generated)
    rng.shuffle(drafts)
    mixed = list(_with_good_ones(drafts))
    requests, decisions = _known(rng, mixed)
    places = Places(now)
    rounds = [_round(places, now, requests), _round(places, now, decisions)]
    rounds += [_round(places, now, mixed[start : start + SLICE]) for start in range(0, len(mixed), SLICE)]
    return Plan(seed=seed, now=now, suppliers=defaultdict(int), rounds=tuple(rounds))


def _generated(rng: Random, seed: int, count: int) -> Iterator[Draft]:
    for topic, type_, data in made_by_schemas(seed, -(-count // _MUTATED)):
        for number in range(_MUTATED):
            draft = a_draft(topic, type_, data)
            yield mutated(rng, draft) if number else draft


def _with_good_ones(drafts: Iterable[Draft]) -> Iterator[Draft]:
    for number, draft in enumerate(drafts):
        yield draft
        if number % GOOD_EVERY == 0:
            yield a_draft(TOPICS[number // GOOD_EVERY % len(TOPICS)])


def _known(rng: Random, mixed: list[Draft]) -> tuple[list[Draft], list[Draft]]:
    """Requests for what decisions and orders are about, and decisions for some orders: they find something there."""
    requests, decisions = [], []
    for draft in mixed:
        pair = {name: draft.data.get(name) for name in ("supplier_id", "customer_id")}
        if draft.topic == REQUESTS or not all(isinstance(id_, str) for id_ in pair.values()) or rng.randrange(_KNOWN):
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


def _round(places: Places, now: datetime, drafts: Iterable[Draft]) -> Round:
    records: list[Record] = [places.place(draft.record(now)) for draft in drafts]
    return Round(
        early=(),
        relationships=tuple(record for record in records if record.topic != ORDERS),
        orders=tuple(record for record in records if record.topic == ORDERS),
    )
