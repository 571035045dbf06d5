"""Relationships under their locks, and their history as of any instant."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from builders import NOON, a_version, minutes_after_noon
from relationship_worker.domain.relationship import Relationship, State
from relationship_worker.storage.database import rows, transaction
from relationship_worker.storage.relationships import (
    NOTHING_KNOWN,
    AsOf,
    HistoryRow,
    Kept,
    lock,
    partners_by_number,
    remember,
    remember_history,
    versions_as_of,
)
from storage.locks import somebody_waits_for_a_lock

PAIR = ("s-1", "c-1")
INSTANT = timedelta(microseconds=1)
UNKNOWN = Kept(relationship=Relationship())


def a_partner(number: str | None = None, version: int = 2) -> Kept:
    return Kept(
        relationship=Relationship(
            state=State.PARTNER, version=version, valid_from=NOON, customer_number=number, previously_rejected=True
        )
    )


async def locked(database, *pairs):
    async with transaction(database) as tx:
        return await lock(tx, pairs)


async def kept(database, relationships):
    async with transaction(database) as tx:
        await lock(tx, relationships)
        await remember(tx, relationships)


async def with_history(database, *versions, pair=PAIR):
    history = [
        HistoryRow(
            pair=pair,
            type="relationship.accepted",
            version=v,
            message=None,
            settings_change=0,
            event_id="e",
            event_source="/",
        )
        for v in versions
    ]
    async with transaction(database) as tx:
        await remember_history(tx, history, now=NOON)


async def as_of(database, *asked):
    async with transaction(database) as tx:
        return await versions_as_of(tx, asked)


async def test_a_relationship_that_nobody_asked_for_is_in_state_none(database):
    assert await locked(database, PAIR) == {PAIR: UNKNOWN}


async def test_a_relationship_is_remembered_with_all_that_is_kept_beside_it(database):
    relationship = Kept(
        relationship=Relationship(
            state=State.DEFERRED, version=7, valid_from=NOON, customer_number="00042", previously_rejected=True
        ),
        profile='{ "company_name":"Müller" , "x":"\\u0000" }',
        profile_at=minutes_after_noon(1),
        assortment='{"catalogues":[]}',
        assortment_at=minutes_after_noon(2),
    )

    await kept(database, {PAIR: relationship})

    assert await locked(database, PAIR) == {PAIR: relationship}


async def test_the_same_customer_of_two_suppliers_has_two_relationships(database):
    await kept(database, {("s-1", "c-1"): a_partner("4711")})

    found = await locked(database, ("s-2", "c-1"), ("s-1", "c-1"), ("s-1", "c-2"))

    assert found == {
        ("s-1", "c-1"): a_partner("4711"),
        ("s-1", "c-2"): UNKNOWN,
        ("s-2", "c-1"): UNKNOWN,
    }


async def test_pairs_are_not_mixed_up(database):
    await kept(database, {("a", "b"): a_partner("1"), ("b", "a"): a_partner("2"), ("a", "a"): a_partner("3")})

    found = await locked(database, ("b", "a"), ("a", "b"))

    assert {pair: k.relationship.customer_number for pair, k in found.items()} == {("a", "b"): "1", ("b", "a"): "2"}


async def test_who_decides_about_a_relationship_waits_for_whoever_decides_already(database):
    await kept(database, {PAIR: a_partner("4711")})

    async with transaction(database) as tx:
        await lock(tx, [PAIR])
        second = asyncio.create_task(locked(database, PAIR))
        await somebody_waits_for_a_lock(database)
        await remember(tx, {PAIR: a_partner("4712", version=3)})

    assert await second == {PAIR: a_partner("4712", version=3)}


async def test_two_who_meet_a_new_relationship_wait_for_each_other_too(database):
    async with transaction(database) as tx:
        await lock(tx, [PAIR])
        second = asyncio.create_task(locked(database, PAIR))
        await somebody_waits_for_a_lock(database)
        await remember(tx, {PAIR: a_partner("4711")})

    assert await second == {PAIR: a_partner("4711")}


async def test_relationships_are_locked_in_order_so_that_nobody_waits_in_a_circle(database):
    a, b = ("s-1", "a"), ("s-1", "b")
    await kept(database, {a: a_partner(), b: a_partner()})

    async with transaction(database) as tx:
        await lock(tx, [a])
        second = asyncio.create_task(locked(database, b, a))
        await somebody_waits_for_a_lock(database)
        await lock(tx, [b])

    assert set(await second) == {a, b}


async def test_other_relationships_are_decided_meanwhile(database):
    async with transaction(database) as tx:
        await lock(tx, [PAIR])

        assert set(await locked(database, ("s-1", "c-2"))) == {("s-1", "c-2")}


async def test_before_the_first_version_there_is_none(database):
    await with_history(database, a_version(1, NOON, number="4711"))

    assert await as_of(database, (*PAIR, NOON - INSTANT)) == [AsOf(None, False, None, newest=1)]


@pytest.mark.parametrize("when", [NOON, NOON + INSTANT, datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)])
async def test_as_of_includes_its_instant(database, when):
    await with_history(database, a_version(1, NOON, number="4711"))

    assert await as_of(database, (*PAIR, when)) == [AsOf(1, True, "4711", newest=1)]


async def test_each_version_counts_from_its_own_instant_to_the_next(database):
    later = NOON + INSTANT
    await with_history(
        database,
        a_version(1, NOON, State.REQUESTED),
        a_version(2, later, State.PARTNER, "4711"),
        a_version(3, later + INSTANT, State.ENDED, "4711"),
    )

    told = await as_of(database, *((*PAIR, NOON + n * INSTANT) for n in (-1, 0, 1, 2, 3)))

    assert told == [
        AsOf(None, False, None, newest=3),
        AsOf(1, False, None, newest=3),
        AsOf(2, True, "4711", newest=3),
        AsOf(3, False, "4711", newest=3),
        AsOf(3, False, "4711", newest=3),
    ]


async def test_of_versions_of_the_same_instant_the_last_counts(database):
    await with_history(database, a_version(1, number="1"), a_version(2, number="2"), a_version(3, number="3"))

    assert await as_of(database, (*PAIR, NOON)) == [AsOf(3, True, "3", newest=3)]


async def test_the_tenth_version_comes_after_the_ninth(database):
    await with_history(database, *(a_version(n, number=str(n)) for n in range(1, 13)))

    assert await as_of(database, (*PAIR, NOON)) == [AsOf(12, True, "12", newest=12)]


async def test_whoever_asks_for_many_is_told_in_the_order_of_the_questions(database):
    await with_history(database, a_version(1, number="A"), pair=("s-1", "c-1"))
    await with_history(database, a_version(1, number="B"), pair=("s-2", "c-1"))
    await with_history(database, a_version(1, minutes_after_noon(5), number="C"), pair=("s-1", "c-2"))

    told = await as_of(
        database,
        ("s-1", "c-2", minutes_after_noon(5)),
        ("s-2", "c-1", NOON),
        ("s-3", "c-1", NOON),
        ("s-1", "c-1", NOON),
        ("s-1", "c-2", minutes_after_noon(4)),
        ("s-2", "c-1", NOON),
        ("s-2", "c-2", NOON),
    )

    assert [answer.customer_number for answer in told] == ["C", "B", None, "A", None, "B", None]


async def test_of_whom_nobody_knows_nothing_is_known(database):
    assert await as_of(database, (*PAIR, NOON)) == [NOTHING_KNOWN]


async def test_nobody_asks_and_nothing_is_told(database):
    assert await as_of(database) == []


async def test_a_version_is_never_written_twice(database):
    await with_history(database, a_version(1))

    with pytest.raises(IntegrityError):
        await with_history(database, a_version(1))


async def test_a_row_of_history_holds_old_and_new_who_why_and_which_message(database):
    version = a_version(
        4, NOON, State.DEFERRED, "4711",
        previous_state=State.REQUESTED, previous_number="4710", brings_number=True, reason="später",
        resubmission_date=date(2026, 4, 1), previously_rejected=True,
    )  # fmt: skip
    row = HistoryRow(
        pair=PAIR,
        type="relationship.deferred",
        version=version,
        message="Hallo",
        settings_change=3,
        event_id="e-7",
        event_source="/p",
    )

    async with transaction(database) as tx:
        await remember_history(tx, [row], now=minutes_after_noon(9))
        [found] = await rows(tx, "SELECT *, known_in = pg_current_xact_id() AS now FROM relationship_history")

    assert {name: value for name, value in found._mapping.items() if name != "known_in"} == {
        "now": True,
        "supplier_id": "s-1",
        "customer_id": "c-1",
        "version": 4,
        "type": "relationship.deferred",
        "state": "deferred",
        "previous_state": "requested",
        "customer_number": "4711",
        "previous_number": "4710",
        "brings_number": True,
        "valid_from": NOON,
        "recorded_at": minutes_after_noon(9),
        "decided_by": "j.meier",
        "reason": "später",
        "message": "Hallo",
        "resubmission_date": date(2026, 4, 1),
        "previously_rejected": True,
        "settings_change": 3,
        "event_id": "e-7",
        "event_source": "/p",
    }


async def test_partners_that_share_a_number_are_found_at_their_supplier_only(database):
    ended = Kept(relationship=Relationship(state=State.ENDED, version=3, valid_from=NOON, customer_number="4711"))
    await kept(
        database,
        {
            ("s-1", "a"): a_partner("4711"),
            ("s-1", "b"): a_partner("4711"),
            ("s-1", "c"): a_partner("04711"),
            ("s-1", "d"): ended,
            ("s-1", "e"): a_partner(None),
            ("s-2", "a"): a_partner("4711"),
        },
    )

    async with transaction(database) as tx:
        found = await partners_by_number(tx, {("s-1", "4711"), ("s-1", "04711"), ("s-2", "04711")})

    assert found == {("s-1", "4711"): {"a", "b"}, ("s-1", "04711"): {"c"}}
