"""Decisions that wait for their request."""

from dataclasses import replace
from datetime import datetime, timedelta

from builders import NOON, minutes_after_noon
from relationship_worker.storage.database import transaction
from relationship_worker.storage.parked import ParkedDecision, forget, park, parked_for, relationships_with_overdue

PAIR = ("s-1", "c-1")


def a_decision(offset: int, pair: tuple[str, str] = PAIR, *, at: datetime = NOON, **record: object) -> ParkedDecision:
    return ParkedDecision(
        **{
            "pair": pair,
            "arrived_at": at,
            "event_key": offset.to_bytes(16, "big"),
            "topic": "relationship-decisions",
            "partition": 2,
            "offset": offset,
            "key": b"s-1/c-1",
            "value": b"{}",
            "headers": [],
            **record,
        }
    )


async def parked(database, *decisions):
    async with transaction(database) as tx:
        await park(tx, decisions)


async def waiting(database, *pairs):
    async with transaction(database) as tx:
        return await parked_for(tx, pairs)


async def offsets(database, *pairs):
    return {pair: [d.offset for d in decisions] for pair, decisions in (await waiting(database, *pairs)).items()}


async def overdue(database, before, *, limit=100):
    async with transaction(database) as tx:
        return await relationships_with_overdue(tx, arrived_before=before, limit=limit)


async def test_a_decision_waits_as_it_came(database):
    decision = a_decision(
        12345678901,
        key=None,
        value=b"\x00\xff",
        headers=[("b", b"2"), ("a", None), ("b", b"\xff"), ("", b"")],
    )
    await parked(database, decision)

    [found] = (await waiting(database, PAIR))[PAIR]

    assert replace(found, arrival=0) == decision


async def test_decisions_wait_in_order_of_arrival_whatever_their_coordinates(database):
    await parked(database, a_decision(9), a_decision(3))
    await parked(database, a_decision(7, at=minutes_after_noon(-5)), a_decision(1))

    assert await offsets(database, PAIR) == {PAIR: [9, 3, 7, 1]}


async def test_only_decisions_of_the_relationship_are_told(database):
    await parked(database, a_decision(1), a_decision(2, ("s-2", "c-1")), a_decision(3, ("s-1", "c-2")))

    assert await offsets(database, PAIR, ("s-2", "c-2")) == {PAIR: [1]}
    assert await offsets(database, ("s-1", "c-2"), ("s-2", "c-1")) == {("s-1", "c-2"): [3], ("s-2", "c-1"): [2]}


async def test_a_decision_that_was_applied_waits_no_longer(database):
    await parked(database, a_decision(1), a_decision(2), a_decision(3))
    [first, _, third] = (await waiting(database, PAIR))[PAIR]

    async with transaction(database) as tx:
        await forget(tx, [third, first])

    assert await offsets(database, PAIR) == {PAIR: [2]}


async def test_the_grace_time_is_over_at_its_instant(database):
    await parked(database, a_decision(1))

    assert await overdue(database, NOON - timedelta(microseconds=1)) == set()
    assert await overdue(database, NOON) == {PAIR}


async def test_a_relationship_with_several_overdue_decisions_is_told_once(database):
    await parked(database, a_decision(1), a_decision(2), a_decision(3, ("s-2", "c-1"), at=minutes_after_noon(1)))

    assert await overdue(database, NOON) == {PAIR}
    assert await overdue(database, minutes_after_noon(1)) == {PAIR, ("s-2", "c-1")}


async def test_the_longest_waiting_come_first(database):
    await parked(database, *(a_decision(n, ("s-1", str(n)), at=minutes_after_noon(-n)) for n in range(5)))

    assert await overdue(database, NOON, limit=2) == {("s-1", "4"), ("s-1", "3")}
