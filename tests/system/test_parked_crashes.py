"""A worker that ends while it gives up a decision which waited too long: the decision is a dead letter, once."""

from pathlib import Path

from roads.driving import opened_road
from system.parked_play import ParkedPlay
from system.shaken_stack import shaken_stack


async def test_a_decision_that_waited_too_long_is_a_dead_letter_once_wherever_the_worker_ends(tmp_path: Path):
    async with shaken_stack() as shaken, opened_road(shaken.stack, shaken.stack.database_url, "", tmp_path) as road:
        play = ParkedPlay(road)
        await play.open()
        await play.round()
        await road.start()
        again = await road.accept("nobody-again", id_=play.sent[-1])  # a dead letter has given its id back

        letters = await road.told("dead-letters", len(play.sent) + 1)

    assert sorted(letter.header("ce_id") or "" for letter in letters) == sorted([*play.sent, again])
    assert {letter.header("deadletter-reason") for letter in letters} == {"unknown_relationship"}
