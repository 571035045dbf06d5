"""What is held back: in order of arrival, by relationship."""

from builders import NOON, minutes_after_noon
from relationship_worker.messages.dead_letters import Letter, Place
from relationship_worker.storage import dead_letter_acts, held_back
from relationship_worker.storage.database import transaction
from relationship_worker.storage.dead_letter_acts import Act, Done
from relationship_worker.storage.dead_letter_cases import State, cases
from relationship_worker.storage.held_back import HeldInput, Step

ANNA, BEN = ("s-1", "anna"), ("s-1", "ben")


def an_input(offset: int, pair: tuple[str, str] = ANNA, *, value: bytes | None = b"{}") -> HeldInput:
    return HeldInput(
        pair=pair,
        place=Place(topic="relationship-decisions", partition=2, offset=offset),
        key=None,
        value=value,
        headers=[("ce_id", b"\xff"), ("x", None)],
        event_key=offset.to_bytes(16, "big"),
    )


async def held_by_the_first(database, *inputs: HeldInput) -> None:
    async with transaction(database) as tx:
        await held_back.hold(tx, inputs[0], now=NOON)
        await held_back.keep(tx, inputs[1:], now=NOON)


async def offsets(database, pair, *, limit: int = 10, most_bytes: int = 1_000) -> list[int]:
    async with transaction(database) as tx:
        found = await held_back.next_inputs(tx, pair, limit=limit, most_bytes=most_bytes)
    return [one.place.offset for one in found]


async def test_a_relationship_is_held_alone_and_counts_what_waits_behind_the_failed_one(database):
    await held_by_the_first(database, an_input(7), an_input(9), an_input(8))
    await held_by_the_first(database, an_input(3, BEN))

    async with transaction(database) as tx:
        assert await held_back.held(tx, [ANNA, BEN, ("s-2", "anna")]) == {ANNA, BEN}
        found = await held_back.by_place(tx, [an_input(7).place, an_input(8).place])
    assert found.keys() == {an_input(7).place}
    assert found[an_input(7).place].behind == 2
    assert await offsets(database, ANNA) == [7, 9, 8]
    assert await offsets(database, BEN) == [3]


async def test_a_record_comes_back_as_it_was_kept(database):
    await held_by_the_first(database, an_input(7, value=None))

    async with transaction(database) as tx:
        hold = await held_back.of_relationship(tx, ANNA)
        assert hold is not None
        failed = await held_back.failed_input(tx, hold)
    assert failed is not None
    assert (failed.key, failed.value, failed.headers) == (None, None, [("ce_id", b"\xff"), ("x", None)])


async def test_the_next_ones_are_as_many_as_fit_and_one_at_least(database):
    await held_by_the_first(database, *[an_input(n, value=b"x" * 400) for n in range(5)])

    assert await offsets(database, ANNA, limit=2) == [0, 1]
    assert await offsets(database, ANNA, most_bytes=1_000) == [0, 1, 2]
    assert await offsets(database, ANNA, most_bytes=1) == [0]


async def test_it_waits_for_a_person_and_is_asked_once(database):
    await held_by_the_first(database, an_input(7))
    place = an_input(7).place

    async with transaction(database) as tx:
        assert await held_back.next_to_go_on(tx) is None
        await held_back.ask_for_replay(tx, ANNA, an_input(8).place, by="kim", why=None)
        assert await held_back.next_to_go_on(tx) is None
        await held_back.ask_for_replay(tx, ANNA, place, by="kim", why="fixed")
        await held_back.ask_for_replay(tx, ANNA, place, by="lou", why=None)
        hold = await held_back.next_to_go_on(tx)
    assert hold is not None
    assert (hold.step, hold.asked_by, hold.asked_why) == (Step.REPLAY, "kim", "fixed")


async def test_acts_count_for_letters_that_were_set_aside_before_them(database):
    place = an_input(7).place
    acts = [
        Done(place=place, letter_at=minutes_after_noon(m), act=act, at=NOON, by="kim", why=None)
        for m, act in ((0, Act.EDITED), (1, Act.DISCARDED))
    ]
    letters = [
        Letter(
            place=place, reason="invalid_json", detail="", at=minutes_after_noon(m), key=None, value=b"{", headers=[],
            lies_at=(0, m),
        )
        for m in (0, 2)
    ]  # fmt: skip
    async with transaction(database) as tx:
        await dead_letter_acts.note(tx, acts)
        before, behind = await cases(tx, letters)

    assert (before.state, before.acts) == (State.DISCARDED, acts)
    assert (behind.state, behind.acts) == (State.OPEN, [])
