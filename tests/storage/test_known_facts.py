"""Facts held in memory: at each look exactly what the database knows, whoever changes it meanwhile."""

import asyncio
import random

import pytest

from builders import NOON, a_version, minutes_after_noon
from relationship_worker.domain.relationship import Relationship, State
from relationship_worker.domain.supplier import Settings
from relationship_worker.storage import known_facts, suppliers
from relationship_worker.storage.database import rows, run, transaction
from relationship_worker.storage.known_facts import KnownFacts
from relationship_worker.storage.relationships import HistoryRow, Kept, lock, remember, remember_history
from relationship_worker.storage.suppliers import SettingsChange, Supplier

SHOP = "s-1"


async def becomes_partner(database, customer: str, version: int, number: str | None = None):
    """A further version of a relationship, as the desk writes it."""
    at = minutes_after_noon(version)
    partner = Relationship(state=State.PARTNER, version=version, valid_from=at, customer_number=number)
    row = HistoryRow(
        pair=(SHOP, customer),
        type="relationship.accepted",
        version=a_version(version, at, State.PARTNER, number),
        message=None,
        settings_change=0,
        event_id=f"{customer}-{version}",
        event_source="/portal",
    )
    async with transaction(database) as tx:
        await lock(tx, [(SHOP, customer)])
        await remember(tx, {(SHOP, customer): Kept(relationship=partner)})
        await remember_history(tx, [row], now=NOON)


async def default_set(database, change: int, number: str) -> None:
    new = Supplier(
        supplier_id=SHOP,
        change=change,
        valid_from=minutes_after_noon(change),
        settings=Settings(default_customer_number=number),
    )
    async with transaction(database) as tx:
        await suppliers.lock(tx, [SHOP], to_change=True)
        changed = SettingsChange(supplier=new, brings_default=True, event_id=f"set-{change}", event_source="/portal")
        await suppliers.remember_changes(tx, [changed], now=NOON)


async def looked(database, known: KnownFacts, *customers: str | None) -> list[tuple[int, str | None]]:
    async with transaction(database) as tx:
        await known.look(tx)
        found = await known.customers(tx, [(SHOP, customer) for customer in customers])
    return [(k.version, k.customer_number) for k in found]


async def defaults(database, known: KnownFacts) -> list[str | None]:
    async with transaction(database) as tx:
        await known.look(tx)
        found = await known.settings(tx, [SHOP])
    return [change.settings.default_customer_number for change in found[SHOP].changes]


def first_answer_held_up(monkeypatch, question: str) -> tuple[asyncio.Event, asyncio.Event]:
    """The first answer to this question is read, which the one event says, and handed on when the other is set."""
    read, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(tx, statement, values=None):
        found = await rows(tx, statement, values)
        if statement == question and not read.is_set():
            read.set()
            await go_on.wait()
        return found

    monkeypatch.setattr(known_facts, "rows", slowly)
    return read, go_on


async def test_the_newest_version_is_known_and_of_strangers_nothing(database):
    await becomes_partner(database, "c-1", 1, "4711")
    await becomes_partner(database, "c-1", 2, "4712")

    assert await looked(database, KnownFacts(), "c-1", "c-2", None) == [(2, "4712"), (0, None), (0, None)]


async def test_what_becomes_known_is_seen_at_the_next_look(database):
    known = KnownFacts()
    await looked(database, known, "c-1", "c-2")

    await becomes_partner(database, "c-1", 1, "4711")
    assert await looked(database, known, "c-1", "c-2") == [(1, "4711"), (0, None)]
    await becomes_partner(database, "c-1", 2)
    await becomes_partner(database, "c-2", 1, "9")

    assert await looked(database, known, "c-1", "c-2") == [(2, None), (1, "9")]


async def test_what_follows_from_a_version_is_forgotten_with_it(database):
    known = KnownFacts()
    await becomes_partner(database, "c-1", 1, "4711")
    async with transaction(database) as tx:
        await known.look(tx)
        [held] = await known.customers(tx, [(SHOP, "c-1")])
    held.derived["public"] = "an answer"

    await looked(database, known, "c-1")
    assert held.derived == {"public": "an answer"}
    await becomes_partner(database, "c-1", 2, "4712")
    await looked(database, known, "c-1")

    assert held.derived == {}


async def test_all_settings_of_a_supplier_are_known_in_their_order(database):
    known = KnownFacts()
    assert await defaults(database, known) == []
    await default_set(database, 1, "D-1")
    await default_set(database, 2, "D-2")
    assert await defaults(database, known) == ["D-1", "D-2"]
    await default_set(database, 3, "D-3")

    assert await defaults(database, known) == ["D-1", "D-2", "D-3"]


async def test_a_version_that_was_open_during_a_look_is_seen_once_it_is_committed(database):
    """Its transaction is older than the look, and is committed after it: no number and no time would tell."""
    known = KnownFacts()
    await becomes_partner(database, "c-1", 1, "4711")
    async with transaction(database) as slow:
        await rows(slow, "SELECT pg_current_xact_id()")
        await becomes_partner(database, "c-2", 1)
        await looked(database, known, "c-1", "c-2")
        await run(
            slow,
            """INSERT INTO relationship_history (supplier_id, customer_id, version, type, state, previous_state,
                   customer_number, brings_number, valid_from, recorded_at, previously_rejected, event_id, event_source)
               VALUES (:shop, 'c-1', 2, 't', 'partner', 'partner', '4712', true, now(), now(), false, 'e', '/')""",
            {"shop": SHOP},
        )
        await looked(database, known, "c-1")

    assert await looked(database, known, "c-1") == [(2, "4712")]


async def test_what_another_lane_finds_out_while_something_is_loaded_is_not_missed(database, monkeypatch):
    known = KnownFacts()
    await becomes_partner(database, "c-1", 1, "4711")
    await looked(database, known)
    read, go_on = first_answer_held_up(monkeypatch, known_facts._LOAD)
    loading = asyncio.create_task(looked(database, known, "c-1"))
    await read.wait()
    await becomes_partner(database, "c-1", 2, "4712")
    await looked(database, known)
    go_on.set()
    await loading

    assert await looked(database, known, "c-1") == [(2, "4712")]


async def test_what_was_loaded_while_all_was_forgotten_is_not_held(database, monkeypatch):
    known = KnownFacts()
    await becomes_partner(database, "c-1", 1, "1")
    await looked(database, known)
    monkeypatch.setattr(known_facts, "MOST_NEWS", 2)
    read, go_on = first_answer_held_up(monkeypatch, known_facts._LOAD)
    loading = asyncio.create_task(looked(database, known, "c-1"))
    await read.wait()
    for version in (2, 3, 4, 5):
        await becomes_partner(database, "c-1", version, str(version))
    await looked(database, known)
    go_on.set()
    await loading

    assert await looked(database, known, "c-1") == [(5, "5")]


async def test_two_first_looks_at_once_hold_nothing_that_is_old(database, monkeypatch):
    """The second one's answer comes late: what the first has loaded since may be older than it."""
    known = KnownFacts()
    await becomes_partner(database, "c-1", 1, "4711")
    read, go_on = first_answer_held_up(monkeypatch, known_facts._LOOK)
    late = asyncio.create_task(looked(database, known, "c-1"))
    await read.wait()
    await looked(database, known, "c-1")
    await becomes_partner(database, "c-1", 2, "4712")
    go_on.set()

    assert await late == [(2, "4712")]


async def test_after_a_long_rest_all_is_loaded_anew(database, monkeypatch):
    known = KnownFacts()
    await becomes_partner(database, "c-1", 1, "1")
    await looked(database, known, "c-1")
    monkeypatch.setattr(known_facts, "MOST_NEWS", 2)
    for version in (2, 3, 4, 5):
        await becomes_partner(database, "c-1", version, str(version))

    assert await looked(database, known, "c-1") == [(5, "5")]


async def test_nothing_is_believed_of_a_server_that_was_another_one(database):
    known = KnownFacts()
    await becomes_partner(database, "c-1", 1, "4711")
    await looked(database, known, "c-1")
    async with transaction(database) as tx:  # as a restored backup has it: it knows less
        await run(tx, "DELETE FROM relationship_history")
        await run(tx, "UPDATE relationships SET version = 0, state = 'none'")

    assert await looked(database, known, "c-1") == [(1, "4711")]
    known._seen = known._seen._replace(server="started at another time")

    assert await looked(database, known, "c-1") == [(0, None)]


async def test_rows_that_were_moved_here_from_another_server_are_no_news(database):
    known = KnownFacts()
    await becomes_partner(database, "c-1", 1, "4711")
    await looked(database, known, "c-1")
    async with transaction(database) as tx:
        await run(tx, "UPDATE relationship_history SET known_in = '999999999999', version = 9, customer_number = 'old'")

    assert await looked(database, known, "c-1") == [(1, "4711")]


async def test_no_more_is_held_than_it_was_told(database):
    known = KnownFacts(relationships=10)
    for start in range(0, 100, 5):
        await looked(database, known, *(f"c-{n}" for n in range(start, start + 5)))

    assert len(known._relationships._young) + len(known._relationships._old) <= 20


@pytest.mark.parametrize("seed", range(3))
async def test_each_look_lies_between_what_was_committed_before_it_and_after_it(database, seed):
    """Writers and readers at once: whatever a reader is told was true while it looked."""
    known = KnownFacts(relationships=4)
    rng = random.Random(seed)
    customers = [f"c-{n}" for n in range(8)]
    done = asyncio.Event()

    async def write(customer: str) -> None:
        for version in range(1, 15):
            await becomes_partner(database, customer, version, str(version))
            await asyncio.sleep(rng.random() * 0.01)

    async def newest() -> dict[str, int]:
        async with transaction(database) as tx:
            found = await rows(tx, "SELECT customer_id, version FROM relationships")
        return {row.customer_id: row.version for row in found}

    async def read() -> int:
        looks = 0
        while not done.is_set():
            asked = rng.sample(customers, 4)
            before = await newest()
            found = await looked(database, known, *asked)
            after = await newest()
            for customer, (version, number) in zip(asked, found, strict=True):
                assert before.get(customer, 0) <= version <= after.get(customer, 0)
                assert number == (str(version) if version else None)
            looks += 1
        return looks

    readers = [asyncio.create_task(read()) for _ in range(3)]
    await asyncio.gather(*(write(customer) for customer in customers))
    done.set()

    assert min(await asyncio.gather(*readers)) > 3
