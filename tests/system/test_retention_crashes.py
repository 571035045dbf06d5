"""A worker that ends amid its retention: what is kept stays as it was, and what is old goes, whoever finishes it."""

from pathlib import Path

from roads.driving import opened_road
from system.retention_play import FIRST, RetentionPlay
from system.shaken_stack import shaken_stack


async def test_answers_are_kept_as_long_as_promised_and_old_ones_go_wherever_a_worker_ends(tmp_path: Path) -> None:
    async with shaken_stack() as shaken, opened_road(shaken.stack, shaken.stack.database_url, "", tmp_path) as road:
        play = RetentionPlay(road)
        await play.open()

        await play.period()

        assert await play.numbers_told() == {FIRST}
