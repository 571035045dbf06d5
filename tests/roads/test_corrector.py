"""The corrector on a real PostgreSQL: which answers it looks at, when, and in which order."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from builders import NOON, a_version, minutes_after_noon
from relationship_worker.domain.supplier import Settings
from relationship_worker.messages.outgoing import Cause
from relationship_worker.roads import corrections as road
from relationship_worker.roads.corrections import Corrector
from relationship_worker.roads.relay import Bell
from relationship_worker.storage import answers, corrections, outbox, periods, positions, relationships, suppliers
from relationship_worker.storage.database import open_database, rows, transaction
from relationship_worker.storage.facts import Fact, remember_facts
from relationship_worker.storage.relationships import HistoryRow
from relationship_worker.storage.suppliers import SettingsChange, Supplier
from storage.test_answers import an_answer

NONE = '{"number":null,"source":"none","reason":"default_missing","rule":7,"relationship_version":null,"as_of":"x","flags":[]}'


def unanswered(n: int, order: str, supplier: str = "s-1", **more: object) -> answers.Answered:
    """An order that was told no number, for want of a default."""
    told = {"answer": NONE, "open": True, "customer_id": None, "supplier_id": supplier, **more}
    return an_answer(n, order, **told)


@pytest.fixture
def corrector(database) -> Corrector:
    return Corrector(database=database, bell=Bell(database))


async def default_set(database, number: str, **more) -> None:
    """The supplier names a default; as the desk does it, the fact is listed in the same transaction."""
    async with transaction(database) as tx:
        await set_default(tx, number, **more)


async def set_default(tx, number: str, *, change: int = 1, supplier: str = "s-1", minutes: float = 1) -> None:
    settings = replace(Settings(), default_customer_number=number)
    new = Supplier(supplier_id=supplier, change=change, valid_from=minutes_after_noon(minutes), settings=settings)
    fact = Fact(
        supplier_id=supplier,
        customer_id=None,
        version=0,
        change=change,
        valid_from=minutes_after_noon(minutes),
        cause=Cause(f"{supplier}{change:>12}".encode(), f"set-{change}", "/portal"),
    )
    await suppliers.lock(tx, [supplier], to_change=True)
    changed = SettingsChange(supplier=new, brings_default=True, event_id=f"set-{change}", event_source="/portal")
    await suppliers.remember_changes(tx, [changed], now=NOON)
    await remember_facts(tx, [fact])


async def answered(database, *given: answers.Answered) -> None:
    async with transaction(database) as tx:
        await answers.remember_first(tx, given, period=await periods.enter(tx), now=NOON)


async def told(database) -> list[tuple[str, str | None]]:
    """(order, number) of every correction, in their order."""
    async with transaction(database) as tx:
        found = await rows(tx, "SELECT order_id, answer::json ->> 'number' AS told FROM corrections ORDER BY number")
    return [(row.order_id, row.told) for row in found]


async def all_looked_at(corrector: Corrector) -> None:
    while await corrector.run_once():
        pass


async def test_an_answer_that_is_being_given_while_the_fact_becomes_known_is_waited_for(database, corrector):
    async with transaction(database) as answering:
        await positions.applied(answering)
        await suppliers.settings_history(answering, ["s-1"])  # no default yet
        await default_set(database, "D-1")
        looking = asyncio.create_task(corrector.run_once())
        await asyncio.wait([looking], timeout=0.1)
        assert not looking.done()
        await answers.remember_first(answering, [unanswered(1, "o-1")], period=await periods.enter(answering), now=NOON)

    await looking
    await all_looked_at(corrector)
    assert await told(database) == [("o-1", "D-1")]


async def test_an_answer_whose_transaction_began_while_the_facts_was_open_is_waited_for(database, corrector):
    """Its transaction's id is higher than that of the fact, which it did not see."""
    async with AsyncExitStack() as stack:
        async with transaction(database) as deciding:
            await rows(deciding, "SELECT pg_current_xact_id()")
            answering = await stack.enter_async_context(transaction(database))
            await positions.applied(answering)
            await suppliers.settings_history(answering, ["s-1"])  # no default yet
            await set_default(deciding, "D-1")
        looking = asyncio.create_task(corrector.run_once())
        await asyncio.wait([looking], timeout=0.1)
        assert not looking.done()
        await answers.remember_first(answering, [unanswered(1, "o-1")], period=await periods.enter(answering), now=NOON)

    await looking
    await all_looked_at(corrector)
    assert await told(database) == [("o-1", "D-1")]


async def test_a_transaction_of_another_database_on_the_server_holds_back_no_correction(
    database, corrector, empty_database_url
):
    """Found by two plays side by side (seed 1): a worker that was stopped held back the corrections of all others."""
    await answered(database, unanswered(1, "o-1"))
    elsewhere = open_database(empty_database_url, connections=1)
    async with transaction(elsewhere) as open_there:
        await rows(open_there, "SELECT pg_current_xact_id()")
        await default_set(database, "D-1")

        await asyncio.wait_for(all_looked_at(corrector), road.PATIENCE - 1)

        assert await told(database) == [("o-1", "D-1")]
    await elsewhere.dispose()


async def test_an_answer_that_knew_the_fact_is_left_alone(database, corrector):
    await default_set(database, "D-1")
    await answered(database, unanswered(1, "o-1", knew_change=1), unanswered(2, "o-2"))

    await all_looked_at(corrector)

    assert await told(database) == [("o-2", "D-1")]


async def test_many_orders_are_looked_at_in_steps_each_once(database, corrector, monkeypatch):
    monkeypatch.setattr(road, "BATCH_ANSWERS", 3)
    await answered(database, *(unanswered(n, f"o-{n:02}") for n in range(10)))
    await default_set(database, "D-1")

    steps = 0
    while await Corrector(database=database, bell=corrector.bell).run_once():  # as if it were another worker each time
        steps += 1

    assert steps == 4
    assert await told(database) == [(f"o-{n:02}", "D-1") for n in range(10)]


async def test_a_later_fact_waits_until_the_earlier_one_has_reached_every_order(database, corrector, monkeypatch):
    monkeypatch.setattr(road, "BATCH_ANSWERS", 2)
    created = minutes_after_noon(5)
    await answered(database, *(unanswered(n, f"o-{n}", created_at=created) for n in range(3)))
    await default_set(database, "D-1")
    await default_set(database, "D-2", change=2, minutes=2)

    await all_looked_at(corrector)

    assert await told(database) == [
        ("o-0", "D-1"), ("o-1", "D-1"), ("o-2", "D-1"),
        ("o-0", "D-2"), ("o-1", "D-2"), ("o-2", "D-2"),
    ]  # fmt: skip


async def accepted(database, number: str, *, change: int, minutes: float) -> None:
    """c-1 becomes a partner with a number, known after so many changes of settings."""
    version = a_version(1, minutes_after_noon(minutes), number=number, brings_number=True)
    row = HistoryRow(
        pair=("s-1", "c-1"),
        type="relationship.accepted",
        version=version,
        message=None,
        settings_change=change,
        event_id="accepted",
        event_source="/portal",
    )
    fact = Fact(
        supplier_id="s-1",
        customer_id="c-1",
        version=1,
        change=change,
        valid_from=version.valid_from,
        cause=Cause(b"accepted".ljust(16), "accepted", "/portal"),
    )
    async with transaction(database) as tx:
        await relationships.remember_history(tx, [row], now=NOON)
        await remember_facts(tx, [fact])


async def test_a_partners_fact_waits_until_the_suppliers_earlier_one_has_reached_every_order(
    database, corrector, monkeypatch
):
    monkeypatch.setattr(road, "BATCH_ANSWERS", 2)
    of_c_1 = {"customer_id": "c-1", "created_at": minutes_after_noon(5)}
    await answered(database, *(unanswered(n, f"o-{n}", **of_c_1) for n in range(3)))
    await default_set(database, "D-1")
    await accepted(database, "4711", change=1, minutes=2)

    await all_looked_at(corrector)

    assert await told(database) == [(f"o-{n}", number) for number in ("D-1", "4711") for n in range(3)]


async def test_one_suppliers_fact_changes_nothing_of_anothers(database, corrector):
    await answered(database, unanswered(1, "o-1"), unanswered(2, "o-1", "s-2"))

    await default_set(database, "D-1")
    await all_looked_at(corrector)

    async with transaction(database) as tx:
        found = await rows(tx, "SELECT supplier_id, corrected IS NULL AS kept FROM answers ORDER BY supplier_id")
    assert [tuple(row) for row in found] == [("s-1", False), ("s-2", True)]


async def test_a_correction_goes_out_behind_the_last_time_that_the_order_was_told_on_its_partition(database, corrector):
    await answered(database, unanswered(1, "o-1", partition=2, offset=10))
    again = [
        unanswered(n, "o-1", partition=partition, offset=offset) for n, partition, offset in [(2, 2, 17), (3, 1, 99)]
    ]
    async with transaction(database) as tx:
        await answers.remember_repeated(tx, again, period=await periods.enter(tx), now=NOON)
    await default_set(database, "D-1")

    await all_looked_at(corrector)

    async with transaction(database) as tx:
        [waiting] = await corrections.waiting(tx, 2, after=0, limit=10)
    assert (waiting.number, waiting.after) == (1, 17)


async def test_corrections_of_a_partition_are_numbered_without_gaps(database, corrector):
    await answered(database, *(unanswered(n, f"o-{n}", partition=n % 2) for n in range(6)))
    await default_set(database, "D-1")
    await all_looked_at(corrector)
    await answered(database, *(unanswered(10 + n, f"p-{n}", partition=n % 2) for n in range(4)))
    await default_set(database, "D-2", change=2, minutes=2)

    await all_looked_at(corrector)

    async with transaction(database) as tx:
        found = await rows(tx, "SELECT partition, number FROM corrections ORDER BY partition, number")
        last = (await outbox.last_numbers(tx)).corrections
    assert [tuple(row) for row in found] == [(p, n) for p in range(2) for n in range(1, last[p] + 1)]
    assert last == {0: 5, 1: 5}


async def test_an_order_outside_the_window_keeps_its_answer_and_stays_open(database, corrector):
    old = NOON - timedelta(hours=72)
    await answered(
        database, unanswered(1, "in", created_at=old + timedelta(minutes=1)), unanswered(2, "out", created_at=old)
    )
    await default_set(database, "D-1")

    await all_looked_at(corrector)

    assert await told(database) == [("in", "D-1")]
