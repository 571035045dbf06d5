"""Live deferrals: when they are due, and how they move with the supplier's settings."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from builders import NOON
from relationship_worker.domain.supplier import Settings
from relationship_worker.storage.database import transaction
from relationship_worker.storage.deferrals import (
    Deferral,
    due_of,
    forget,
    move,
    relationships_due,
    remember,
    suppliers_with_deferrals,
)

DUE = datetime(2026, 4, 1, 6, tzinfo=UTC)  # 08:00 in Berlin
INSTANT = timedelta(microseconds=1)
FAR = datetime(2199, 1, 1, tzinfo=UTC)


def a_deferral(customer: str = "c-1", supplier: str = "s-1", *, day: date = date(2026, 4, 1), due: datetime = DUE):
    return Deferral(
        pair=(supplier, customer),
        version=2,
        due_on=day,
        due_at=due,
        deferred_at=NOON,
        reason="später",
        event_key=b"\x01" * 16,
        event_id="e-1",
        event_source="/portal",
        trace=[("traceparent", b"00-1"), ("tracestate", b"\xc3\xbc")],
    )


async def remembered(database, *deferrals):
    async with transaction(database) as tx:
        await remember(tx, deferrals)


async def moved(database, supplier="s-1", **settings):
    async with transaction(database) as tx:
        await move(tx, supplier, Settings(**settings))


async def due(database, now, *, limit=100):
    async with transaction(database) as tx:
        return await relationships_due(tx, now=now, limit=limit)


async def instants(database, *pairs):
    async with transaction(database) as tx:
        return {deferral.pair: deferral.due_at for deferral in await due_of(tx, pairs, now=FAR)}


async def test_a_deferral_is_kept_with_all_that_its_reminder_says(database):
    await remembered(database, a_deferral())

    async with transaction(database) as tx:
        assert await due_of(tx, [("s-1", "c-1")], now=DUE) == [a_deferral()]


async def test_a_deferral_without_a_reason(database):
    quiet = replace(a_deferral(), reason=None, trace=[])
    await remembered(database, quiet)

    async with transaction(database) as tx:
        assert await due_of(tx, [("s-1", "c-1")], now=DUE) == [quiet]


async def test_a_reminder_is_never_early_and_due_at_its_instant(database):
    await remembered(database, a_deferral())

    assert await due(database, DUE - INSTANT) == []
    assert await due(database, DUE) == [("s-1", "c-1")]
    async with transaction(database) as tx:
        assert await due_of(tx, [("s-1", "c-1")], now=DUE - INSTANT) == []


async def test_the_longest_due_come_first_page_by_page(database):
    await remembered(database, *(a_deferral(str(n), due=DUE - n * INSTANT) for n in range(5)))

    assert await due(database, DUE, limit=3) == [("s-1", "4"), ("s-1", "3"), ("s-1", "2")]


async def test_only_those_that_were_asked_for_are_told(database):
    await remembered(database, a_deferral("a"), a_deferral("b"), a_deferral("a", "s-2"))

    assert await instants(database, ("s-1", "a"), ("s-2", "b")) == {("s-1", "a"): DUE}


async def test_a_void_deferral_is_never_due(database):
    await remembered(database, a_deferral("a"), a_deferral("b"), a_deferral("a", "s-2"))

    async with transaction(database) as tx:
        await forget(tx, [("s-1", "a"), ("s-1", "never deferred")])

    assert sorted(await due(database, FAR)) == [("s-1", "b"), ("s-2", "a")]


async def test_a_deferred_request_that_is_deferred_again_has_one_reminder(database):
    await remembered(database, a_deferral())
    again = replace(a_deferral(), version=3, due_at=DUE + timedelta(days=1), due_on=date(2026, 4, 2))

    async with transaction(database) as tx:
        await forget(tx, [again.pair])
        await remember(tx, [again])

    assert await due(database, DUE) == []
    assert await instants(database, again.pair) == {again.pair: DUE + timedelta(days=1)}


async def test_open_reminders_move_with_the_suppliers_hour(database):
    await remembered(database, a_deferral())

    await moved(database, reminder_time=time(9, 30))

    assert await instants(database, ("s-1", "c-1")) == {("s-1", "c-1"): datetime(2026, 4, 1, 7, 30, tzinfo=UTC)}


async def test_open_reminders_move_with_the_suppliers_zone(database):
    await remembered(database, a_deferral())

    await moved(database, time_zone="America/New_York")

    assert await instants(database, ("s-1", "c-1")) == {("s-1", "c-1"): datetime(2026, 4, 1, 12, tzinfo=UTC)}


async def test_each_reminder_moves_on_its_own_day_across_summer_time(database):
    await remembered(
        database,
        a_deferral("winter", day=date(2026, 3, 28)),
        a_deferral("gap", day=date(2026, 3, 29)),
        a_deferral("summer", day=date(2026, 3, 30)),
        a_deferral("overlap", day=date(2026, 10, 25)),
    )

    await moved(database, reminder_time=time(2, 30))

    assert await instants(database, *(("s-1", name) for name in ("winter", "gap", "summer", "overlap"))) == {
        ("s-1", "winter"): datetime(2026, 3, 28, 1, 30, tzinfo=UTC),
        ("s-1", "gap"): datetime(2026, 3, 29, 1, 0, tzinfo=UTC),
        ("s-1", "summer"): datetime(2026, 3, 30, 0, 30, tzinfo=UTC),
        ("s-1", "overlap"): datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    }


async def test_reminders_of_one_day_move_together_and_other_suppliers_stay(database):
    await remembered(database, a_deferral("a"), a_deferral("b"), a_deferral("a", "s-2"))

    await moved(database, time_zone="UTC")

    assert await instants(database, ("s-1", "a"), ("s-1", "b"), ("s-2", "a")) == {
        ("s-1", "a"): datetime(2026, 4, 1, 8, tzinfo=UTC),
        ("s-1", "b"): datetime(2026, 4, 1, 8, tzinfo=UTC),
        ("s-2", "a"): DUE,
    }


async def test_a_reminder_that_was_told_is_not_told_again_when_settings_move(database):
    await remembered(database, a_deferral())
    async with transaction(database) as tx:
        await forget(tx, [("s-1", "c-1")])

    await moved(database, reminder_time=time(23, 0))

    assert await due(database, FAR) == []


async def test_moving_where_nothing_waits_moves_nothing(database):
    await remembered(database, a_deferral())

    await moved(database, "s-2", time_zone="UTC")

    assert await instants(database, ("s-1", "c-1")) == {("s-1", "c-1"): DUE}


async def test_suppliers_whose_reminders_would_move_with_the_zones_rules(database):
    await remembered(database, a_deferral("a", "s-2"), a_deferral("b", "s-2"), a_deferral("a", "s-1"))

    async with transaction(database) as tx:
        assert await suppliers_with_deferrals(tx) == ["s-1", "s-2"]
