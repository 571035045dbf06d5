"""Answers to orders: the first one stands, and the same event is answered once."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import make_url

from builders import NOON
from relationship_worker.roads.running import is_own_fault
from relationship_worker.storage.answer_rows import AnswerRows, known_facts
from relationship_worker.storage.answers import (
    Answered,
    AnsweredBefore,
    ToldBefore,
    UpTo,
    events_before,
    remember_at_once,
    remember_first,
    remember_new,
    remember_repeated,
    told_last,
)
from relationship_worker.storage.database import ConnectionLost, open_database, rows, run, statements, transaction
from relationship_worker.storage.known_facts import KnownFacts, Seen
from relationship_worker.storage.periods import Period, enter
from relationship_worker.storage.positions import take_over
from storage.locks import WAITING, somebody_waits_for_a_lock
from waiting import until


def key(event: int) -> bytes:
    return event.to_bytes(16, "big")


def an_answer(
    event: int, order: str = "o-1", answer: str = "{}", *, created_at: datetime = NOON, **fields: object
) -> Answered:
    return Answered(
        **{
            "event_key": key(event),
            "data_hash": event.to_bytes(8, "little"),
            "supplier_id": "s-1",
            "order_id": order,
            "customer_id": "c-1",
            "answer": answer,
            "partition": 0,
            "offset": event,
            "record_key": b"k",
            "created_at": created_at,
            "channel": None,
            "knew_version": 0,
            "knew_change": 0,
            "open": False,
            **fields,
        }
    )


async def remembered(database, *answered):
    async with transaction(database) as tx:
        return await remember_first(tx, answered, period=await enter(tx), now=NOON)


def as_told(answer: Answered, *, first: bool = True) -> ToldBefore:
    return ToldBefore(answer.data_hash, answer.answer, answer.partition, answer.offset, first)


async def told(database, *orders):
    async with transaction(database) as tx:
        return await told_last(tx, [("s-1", order) for order in orders])


async def before(database, *events):
    async with transaction(database) as tx:
        return await events_before(tx, [key(event) for event in events])


async def test_first_answers_are_remembered(database):
    assert await remembered(database, an_answer(1, "o-1"), an_answer(2, "o-2")) == {key(1), key(2)}


async def test_what_an_event_was_told_is_known_when_it_comes_again(database):
    answer = an_answer(1, answer='{"number":"00042"}', partition=3, offset=12345678901)
    await remembered(database, answer)

    assert await before(database, 1, 2) == {key(1): as_told(answer)}


async def test_the_same_event_is_answered_once(database):
    await remembered(database, an_answer(1, answer='"first"'))

    assert await remembered(database, an_answer(1, answer='"second"'), an_answer(2, "o-2")) == {key(2)}
    assert await told(database, "o-1") == {("s-1", "o-1"): '"first"'}


async def test_another_event_of_an_order_leaves_the_first_answer(database):
    await remembered(database, an_answer(1, answer='"first"'))

    assert await remembered(database, an_answer(2, answer='"second"')) == set()
    assert await told(database, "o-1", "o-2") == {("s-1", "o-1"): '"first"'}
    assert await before(database, 2) == {}


async def test_of_two_events_of_an_order_the_earlier_stands(database):
    new = await remembered(database, an_answer(2, answer='"earlier"'), an_answer(1, answer='"later"'))

    assert new == {key(2)}
    assert await told(database, "o-1") == {("s-1", "o-1"): '"earlier"'}


async def test_an_event_is_not_used_for_two_orders(database):
    await remembered(database, an_answer(1, "o-1"))

    assert await remembered(database, an_answer(1, "o-2", '"other"')) == set()
    assert await told(database, "o-2") == {}


async def test_a_repeated_order_is_remembered_with_what_it_was_told(database):
    await remembered(database, an_answer(1))
    repeated = an_answer(2, answer='"as told"')

    async with transaction(database) as tx:
        assert await remember_repeated(tx, [repeated], period=await enter(tx), now=NOON) == {key(2)}
        assert await remember_repeated(tx, [repeated, an_answer(3)], period=await enter(tx), now=NOON) == {key(3)}

    found = (await before(database, 2))[key(2)]
    assert found == as_told(repeated, first=False)
    assert (await before(database, 1))[key(1)].first


async def test_orders_of_two_suppliers_are_two_orders(database):
    await remembered(database, an_answer(1, answer='"one"'), an_answer(2, answer='"two"', supplier_id="s-2"))

    async with transaction(database) as tx:
        last = await told_last(tx, [("s-1", "o-1"), ("s-2", "o-1"), ("s-3", "o-1")])

    assert last == {("s-1", "o-1"): '"one"', ("s-2", "o-1"): '"two"'}


HOSTILE = [
    *(
        "NULL",
        "null",
        "{}",
        "{a,b}",
        '"',
        "\\",
        "\\x41",
        ",",
        "'; DROP TABLE answers; --",
        ":now",
        "%(a)s",
        "$1",
        "a b",
    ),
    *("Ü", "u\u0308", "客户", "😀", "\U0010ffff", "\ufffd", "x" * 128),
]


async def test_any_order_id_and_any_answer_is_text(database):
    orders = [an_answer(n, text, f'{{"number":"{n}{text}"}}', offset=n * 7) for n, text in enumerate(HOSTILE)]

    new = await remembered(database, *orders)

    assert new == {order.event_key for order in orders}
    assert await before(database, *range(len(HOSTILE))) == {order.event_key: as_told(order) for order in orders}
    assert await told(database, *HOSTILE) == {("s-1", order.order_id): order.answer for order in orders}


@pytest.mark.parametrize("customers", [[None], [None, None], ["c-1", None, "c-2"], [None, "NULL", None]])
async def test_a_walk_in_has_no_customer(database, customers):
    orders = [an_answer(n, f"o-{n}", customer_id=customer) for n, customer in enumerate(customers)]

    await remembered(database, *orders)

    async with transaction(database) as tx:
        found = await rows(tx, 'SELECT customer_id FROM answers ORDER BY "offset"')
    assert [row.customer_id for row in found] == customers


async def test_each_of_many_answers_keeps_what_is_its_own(database):
    orders = [an_answer(n, f"o-{n % 7}-{n}", f'"{n}"', partition=n % 4, offset=n * n) for n in range(600)]

    await remembered(database, *orders)

    assert await before(database, *range(600)) == {order.event_key: as_told(order) for order in orders}


KEYS = [None, b"", b"\x00\x1f\xff", b"NULL", "k\u00fc".encode()]


@pytest.mark.parametrize("channel", [None, "public", "private"])
async def test_what_a_correction_needs_of_the_order_is_kept(database, channel):
    given = [
        an_answer(n, f"o-{n}", record_key=k, created_at=NOON - timedelta(days=n), channel=channel, open=n % 2 == 0)
        for n, k in enumerate(KEYS)
    ]

    await remembered(database, *given)

    async with transaction(database) as tx:
        found = await rows(tx, 'SELECT record_key, created_at, channel, open FROM answers ORDER BY "offset"')
    assert [(row.record_key, row.created_at, row.channel, row.open) for row in found] == [
        (g.record_key, g.created_at, g.channel, g.open) for g in given
    ]


async def test_nothing_is_remembered_of_nothing(database):
    async with transaction(database) as tx:
        assert await remember_first(tx, [], period=await enter(tx), now=NOON) == set()
        assert await remember_repeated(tx, [], period=await enter(tx), now=NOON) == set()
        assert await events_before(tx, []) == {}
        assert await told_last(tx, []) == {}


async def test_the_first_answer_stands_when_two_workers_answer_at_once(database):
    async with transaction(database) as tx:
        await remember_first(tx, [an_answer(1, answer='"first"')], period=await enter(tx), now=NOON)
        second = asyncio.create_task(remembered(database, an_answer(2, answer='"second"'), an_answer(3, "o-3")))
        await somebody_waits_for_a_lock(database)

    assert await second == {key(3)}
    assert await told(database, "o-1") == {("s-1", "o-1"): '"first"'}


async def test_whoever_came_second_sees_the_first_answer_in_the_same_transaction(database):
    async def answer_and_look():
        async with transaction(database) as tx:
            await remember_first(tx, [an_answer(2, answer='"second"')], period=await enter(tx), now=NOON)
            return await told_last(tx, [("s-1", "o-1")])

    async with transaction(database) as tx:
        await remember_first(tx, [an_answer(1, answer='"first"')], period=await enter(tx), now=NOON)
        second = asyncio.create_task(answer_and_look())
        await somebody_waits_for_a_lock(database)

    assert await second == {("s-1", "o-1"): '"first"'}


async def test_the_second_answer_stands_where_the_first_was_never_told(database):
    async with database.connect() as tx:
        await remember_first(tx, [an_answer(1, answer='"first"')], period=await enter(tx), now=NOON)
        second = asyncio.create_task(remembered(database, an_answer(2, answer='"second"')))
        await somebody_waits_for_a_lock(database)
        await tx.rollback()

    assert await second == {key(2)}
    assert await told(database, "o-1") == {("s-1", "o-1"): '"second"'}


async def test_workers_with_the_same_orders_do_not_wait_in_a_circle(database):
    async with transaction(database) as tx:
        await remember_first(tx, [an_answer(1, "a")], period=await enter(tx), now=NOON)
        second = asyncio.create_task(remembered(database, *(an_answer(n, order) for n, order in [(5, "b"), (6, "a")])))
        await somebody_waits_for_a_lock(database)
        await remember_first(tx, [an_answer(2, "b")], period=await enter(tx), now=NOON)

    assert await second == set()


async def test_many_workers_with_the_same_orders_agree_on_one_answer_each(database):
    def batch(worker: int) -> list[Answered]:
        return [an_answer(worker * 100 + n, f"o-{n}", f'"{worker}"') for n in range(50)]

    new = await asyncio.gather(*(remembered(database, *batch(worker)) for worker in range(4)))

    assert sum(len(keys) for keys in new) == 50
    last = await told(database, *(f"o-{n}" for n in range(50)))
    by_event = {a.event_key: a for worker in range(4) for a in batch(worker)}
    assert last == {by_event[k].order: by_event[k].answer for keys in new for k in keys}


def a_row(answer: Answered, period: Period) -> bytes:
    facts = known_facts(
        answer.supplier_id,
        answer.customer_id,
        answer.channel,
        answer.knew_version,
        answer.knew_change,
        is_open=answer.open,
    )
    return AnswerRows(partition=answer.partition, period=period.now, now=NOON).row(
        facts,
        (answer.event_key, answer.data_hash, answer.offset, answer.created_at, answer.record_key),
        answer.order_id.encode(),
        answer.answer[:1].encode(),
        answer.answer[1:-1].encode(),
        answer.answer[-1:].encode() if len(answer.answer) > 1 else b"",
    )


async def remember_as_new(tx, *answered: Answered) -> None:
    period = await enter(tx)
    rows_, events = [a_row(a, period) for a in answered], [a.event_key for a in answered]
    await remember_new(tx, rows_, events, [a.order for a in answered], period=period)


async def as_new(database, *answered: Answered) -> None:
    async with transaction(database) as tx:
        await remember_as_new(tx, *answered)


async def seen_now(database) -> Seen:
    known = KnownFacts()
    async with transaction(database) as tx:
        await known.look(tx)
    assert known.seen is not None
    return known.seen


async def at_once(database, *answered: Answered, seen: Seen | None = None, ends: UpTo = {}) -> bool:  # noqa: B006
    return await remember_at_once(database, answered, seen or await seen_now(database), ends, now=NOON)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"customer_id": None, "record_key": None, "channel": "private", "open": True},
        {"order": "Bestellung 1/ß\t\\N", "answer": '{"number":"\\\\ Ä"}', "record_key": b"\x00\xff" * 2_000},
        {"created_at": datetime(2000, 1, 1, tzinfo=UTC), "knew_version": 2**31 - 1, "offset": 2**40, "partition": 999},
        {"created_at": datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "knew_change": 7},
    ],
)
async def test_new_answers_are_stored_like_any_other(database, fields):
    answer = an_answer(1, **fields)
    stored = []

    for remember in (as_new, remembered, at_once):
        await remember(database, answer)
        async with transaction(database) as tx:
            stored += await rows(tx, "SELECT * FROM answers")
            await run(tx, "DELETE FROM answers")

    assert stored[0] == stored[1] == stored[2]


@pytest.mark.parametrize("again", [an_answer(1, "o-2"), an_answer(2, "o-1"), an_answer(1, "o-1")])
async def test_answers_that_are_not_new_are_refused_as_a_whole(database, again):
    await as_new(database, an_answer(1, "o-1"))

    with pytest.raises(AnsweredBefore):
        await as_new(database, an_answer(9, "o-9"), again)

    assert list(await told(database, "o-1", "o-2", "o-9")) == [("s-1", "o-1")]


async def test_a_further_event_of_an_order_is_not_new(database):
    async with transaction(database) as tx:
        await remember_repeated(tx, [an_answer(2)], period=await enter(tx), now=NOON)

    with pytest.raises(AnsweredBefore):
        await as_new(database, an_answer(2, "o-9"))


async def test_an_order_that_another_lane_answers_right_now_is_not_new(database):
    async with transaction(database) as tx:
        await remember_as_new(tx, an_answer(1, "o-1"))
        second = asyncio.create_task(as_new(database, an_answer(2, "o-1")))
        await somebody_waits_for_a_lock(database)

    with pytest.raises(AnsweredBefore):
        await second


async def test_lanes_with_the_same_orders_in_another_order_do_not_wait_for_ever(database):
    async with transaction(database) as tx:
        await remember_as_new(tx, an_answer(1, "a"))
        second = asyncio.create_task(as_new(database, an_answer(5, "b"), an_answer(6, "a")))
        await somebody_waits_for_a_lock(database)
        first = asyncio.create_task(remember_as_new(tx, an_answer(2, "b")))

        ended = await asyncio.gather(first, second, return_exceptions=True)

    assert [type(end) for end in ended].count(AnsweredBefore) == 1


@pytest.mark.parametrize("remember", ["as_new", "remembered", "at_once"])
async def test_an_answer_that_the_database_can_not_hold_is_the_workers_own_fault(database, remember):
    """Whichever way it takes: what is another's fault is tried again for ever, and would hold all orders back."""
    with pytest.raises(ConnectionLost) as failed:
        await globals()[remember](database, an_answer(1, "a\0b"))

    assert is_own_fault(failed.value)


async def test_a_batch_without_orders_is_remembered(database):
    await as_new(database)


async def test_a_small_batch_is_remembered_at_once(database):
    assert await at_once(database, an_answer(2, "o-2"), an_answer(1, "o-1"))
    assert set(await told(database, "o-1", "o-2")) == {("s-1", "o-1"), ("s-1", "o-2")}


@pytest.mark.parametrize("again", [an_answer(1, "o-2"), an_answer(2, "o-1"), an_answer(7, "o-7")])
async def test_nothing_is_remembered_at_once_where_some_were_answered_before(database, again):
    await remembered(database, an_answer(1, "o-1"))
    async with transaction(database) as tx:
        await remember_repeated(tx, [an_answer(7)], period=await enter(tx), now=NOON)

    assert not await at_once(database, an_answer(9, "o-9"), again)
    assert await told(database, "o-9") == {}


@pytest.mark.parametrize(
    "news",
    [
        """INSERT INTO relationship_history (supplier_id, customer_id, version, type, state, previous_state, brings_number,
               valid_from, recorded_at, previously_rejected, event_id, event_source)
           VALUES ('s-1', 'c-1', 1, 't', 'partner', 'none', false, now(), now(), false, 'e', '/')""",
        """INSERT INTO supplier_settings (supplier_id, change, valid_from, recorded_at, settings, event_id, event_source)
           VALUES ('s-1', 1, now(), now(), '{}', 'e', '/')""",
    ],
)
async def test_nothing_is_remembered_at_once_where_anything_became_known_since(database, news):
    seen = await seen_now(database)
    async with transaction(database) as tx:
        await run(tx, news)

    assert not await at_once(database, an_answer(1), seen=seen)
    assert await told(database, "o-1") == {}
    assert await at_once(database, an_answer(1), seen=await seen_now(database))


async def test_nothing_is_remembered_at_once_by_what_another_server_knew(database):
    seen = await seen_now(database)

    assert not await at_once(database, an_answer(1), seen=seen._replace(server="started at another time"))


async def test_nothing_is_remembered_at_once_while_decisions_are_not_applied(database):
    async with transaction(database) as tx:
        _, _ = await take_over(tx, "relationship-decisions", 0, first=7)

    assert not await at_once(database, an_answer(1), ends={("relationship-decisions", 0): 8})
    assert not await at_once(database, an_answer(1), ends={("relationship-decisions", 1): 1})
    assert await at_once(database, an_answer(1), ends={("relationship-decisions", 0): 7, ("connection-requests", 3): 0})


async def test_an_order_that_is_being_answered_right_now_is_not_remembered_at_once(database):
    async with transaction(database) as tx:
        await remember_as_new(tx, an_answer(1, "o-1"))
        second = asyncio.create_task(at_once(database, an_answer(2, "o-1")))
        await somebody_waits_for_a_lock(database)

    assert await second is False


async def test_a_small_batch_that_waits_in_a_circle_with_another_lanes_orders_goes_the_longer_way(database):
    async def both_wait() -> bool:
        async with transaction(database) as look:
            return len(await rows(look, WAITING)) == 2

    async with database.connect() as third, transaction(database) as tx:
        await run(tx, "SET LOCAL deadlock_timeout = '1min'")  # so that it is the small batch that finds the circle
        await remember_as_new(third, an_answer(1, "b"))
        await remember_as_new(tx, an_answer(2, "c"))
        small = asyncio.create_task(at_once(database, an_answer(5, "a"), an_answer(6, "b"), an_answer(7, "c")))
        await somebody_waits_for_a_lock(database)
        other = asyncio.create_task(remember_as_new(tx, an_answer(3, "a")))
        await until("the other lane to wait for the small batch", both_wait)
        await third.rollback()

        assert await small is False
        await other


async def test_each_statement_sees_what_was_committed_before_it_however_the_database_is_set(database, database_url):
    """At once means several statements in one call: the later ones must see what the earlier have waited for."""
    name = make_url(database_url).database
    async with transaction(database) as tx:
        await run(tx, f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'")
    new = open_database(database_url, connections=1)
    try:
        async with statements(new) as tx:
            [found] = await rows(tx, "SHOW transaction_isolation")
    finally:
        await new.dispose()

    assert found.transaction_isolation == "read committed"


async def test_who_corrects_answers_waits_for_what_is_being_remembered_at_once(database):
    """Its transaction has its id before it looks for news: so no fact is missed by both."""
    async with transaction(database) as holder:
        await run(holder, "LOCK TABLE positions IN ACCESS EXCLUSIVE MODE")
        remembering = asyncio.create_task(
            at_once(database, an_answer(1), seen=await seen_now(database), ends={("relationship-decisions", 0): 1})
        )
        await somebody_waits_for_a_lock(database)
        async with transaction(database) as tx:
            [waiting] = await rows(tx, "SELECT backend_xid AS id FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        assert waiting.id is not None

    assert await remembering is False
