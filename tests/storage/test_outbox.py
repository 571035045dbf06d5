"""The outbox: complete messages, numbered without gaps in the order of commits."""

import asyncio

from relationship_worker.messages.outgoing import Message
from relationship_worker.storage.database import transaction
from relationship_worker.storage.outbox import forget, last_numbers, next_messages, post
from storage.locks import somebody_waits_for_a_lock


def a_message(name: str, *, partition: int = 0) -> Message:
    return Message("relationship-events", name.encode(), b"{}", [], partition)


async def posted(database, *messages, lanes=4):
    async with transaction(database) as tx:
        await post(tx, messages, lanes=lanes)


async def lane(database, number, *, after=0, limit=100):
    """The lane's messages by their keys, with their numbers."""
    async with transaction(database) as tx:
        found = await next_messages(tx, number, after=after, limit=limit)
    return [(number, message.key.decode()) for number, message in found]


async def test_messages_are_numbered_in_the_order_in_which_they_are_posted(database):
    await posted(database, a_message("b"), a_message("a"))
    await posted(database, a_message("c"))

    assert await lane(database, 0) == [(1, "b"), (2, "a"), (3, "c")]


async def test_a_message_is_kept_as_it_will_go(database):
    complete = Message(
        "dead-letters",
        None,
        b"\x00\xff",
        [("b", b"2"), ("a", None), ("b", b"\xff\x00"), ("", b""), ("ä", "ö".encode())],
        2,
    )
    tombstone = Message("reminders", b"\x00", None, [], 2)
    empty = Message("reminders", b"", b"", [], 2)

    await posted(database, complete, tombstone, empty)

    async with transaction(database) as tx:
        assert await next_messages(tx, 2, after=0, limit=100) == [(1, complete), (2, tombstone), (3, empty)]


async def test_partitions_share_lanes_and_each_lane_counts_for_itself(database):
    await posted(database, *(a_message(str(partition), partition=partition) for partition in (0, 1, 5, 4, 3)), lanes=4)

    assert await lane(database, 0) == [(1, "0"), (2, "4")]
    assert await lane(database, 1) == [(1, "1"), (2, "5")]
    assert await lane(database, 2) == []
    assert await lane(database, 3) == [(1, "3")]


async def test_posting_nothing_numbers_nothing(database):
    await posted(database)

    async with transaction(database) as tx:
        assert (await last_numbers(tx)).messages == {}


async def test_a_page_begins_behind_what_was_sent(database):
    await posted(database, *map(a_message, "abcde"))

    assert await lane(database, 0, after=2, limit=2) == [(3, "c"), (4, "d")]
    assert await lane(database, 0, after=5) == []


async def test_what_kafka_has_is_forgotten_and_its_numbers_never_come_again(database):
    await posted(database, *map(a_message, "abc"))

    async with transaction(database) as tx:
        await forget(tx, 0, up_to=3)
    await posted(database, a_message("d"))

    assert await lane(database, 0) == [(4, "d")]
    async with transaction(database) as tx:
        assert (await last_numbers(tx)).messages == {0: 4}


async def test_forgetting_one_lane_leaves_the_others(database):
    await posted(database, a_message("a", partition=0), a_message("b", partition=1))

    async with transaction(database) as tx:
        await forget(tx, 0, up_to=1)

    assert await lane(database, 1) == [(1, "b")]


async def test_numbers_follow_the_order_of_commits_when_two_transactions_overlap(database):
    async with transaction(database) as tx:
        await post(tx, [a_message("first"), a_message("second")], lanes=4)
        later = asyncio.create_task(posted(database, a_message("third")))
        await somebody_waits_for_a_lock(database)
        assert await lane(database, 0) == []

    await later
    assert await lane(database, 0) == [(1, "first"), (2, "second"), (3, "third")]


async def test_a_transaction_that_is_rolled_back_leaves_no_gap(database):
    await posted(database, a_message("a"))

    async with database.connect() as tx:
        await post(tx, [a_message("never"), a_message("nor this")], lanes=4)
        later = asyncio.create_task(posted(database, a_message("b")))
        await somebody_waits_for_a_lock(database)
        await tx.rollback()

    await later
    assert await lane(database, 0) == [(1, "a"), (2, "b")]


async def test_lanes_do_not_wait_for_each_other(database):
    async with transaction(database) as tx:
        await post(tx, [a_message("a", partition=0)], lanes=4)
        await posted(database, a_message("b", partition=1))
        assert await lane(database, 1) == [(1, "b")]

    assert await lane(database, 0) == [(1, "a")]


async def test_transactions_with_several_lanes_do_not_wait_in_a_circle(database):
    async with transaction(database) as tx:
        await post(tx, [a_message("a", partition=0)], lanes=4)
        later = asyncio.create_task(posted(database, a_message("d", partition=1), a_message("c", partition=0)))
        await somebody_waits_for_a_lock(database)
        await post(tx, [a_message("b", partition=1)], lanes=4)

    await later
    assert await lane(database, 0) == [(1, "a"), (2, "c")]
    assert await lane(database, 1) == [(1, "b"), (2, "d")]


async def test_whoever_reads_a_lane_while_many_write_sees_every_number_once_and_in_order(database):
    writers = [asyncio.create_task(posted(database, a_message(f"{n}a"), a_message(f"{n}b"))) for n in range(20)]

    seen: list[tuple[int, str]] = []
    async with asyncio.timeout(60):
        while len(seen) < 40:
            seen += await lane(database, 0, after=len(seen))
        await asyncio.gather(*writers)

    assert [number for number, _ in seen] == list(range(1, 41))
    assert all(a[:-1] == b[:-1] for (_, a), (_, b) in zip(seen[::2], seen[1::2], strict=True))
