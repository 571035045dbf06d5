"""What the checker finds in plays of sabotaged workers, some of them side by side."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from database_fixtures import made_database
from relationship_worker.local.stack import Stack
from roads.driving import opened_road
from system.expectations import expectations
from system.judge import Verdict, judge
from system.sabotage.player import play
from system.sabotage.plays import PLAYS
from system.sabotage.small_plan import small_plan


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A play, and what the checker said to it."""

    name: str
    seed: int
    verdict: Verdict

    @property
    def is_as_it_must_be(self) -> bool:
        """Found for what it is; or nothing at all, in a true worker."""
        wanted = PLAYS[self.name].found_as
        return wanted <= self.verdict.kinds if wanted else not self.verdict.differences

    def said(self) -> str:
        """In one line, and in more where it is not as it must be."""
        kinds = Counter(str(difference.kind) for difference in self.verdict.differences)
        counted = ", ".join(f"{count} × {kind}" for kind, count in kinds.most_common()) or "nothing"
        line = f"{'as it must be' if self.is_as_it_must_be else 'WRONG'}: {self.name} (seed {self.seed}): {counted}"
        return line if self.is_as_it_must_be else f"{line}\n{self.verdict.report()}"


async def found(
    stack: Stack,
    names: Sequence[str],
    seed: int,
    folder: Path,
    *,
    at_once: int,
    say: Callable[[str], None] = lambda line: None,
) -> list[Outcome]:
    """Each play on topics and a database of its own; what becomes of it is said when it is over."""
    turn = asyncio.Semaphore(at_once)
    for name in names:
        (folder / name).mkdir()

    async def played(name: str) -> Outcome:
        async with turn:
            outcome = await _played(stack, name, seed, folder / name)
            say(outcome.said())
            return outcome

    return await asyncio.gather(*(played(name) for name in names))


async def _played(stack: Stack, name: str, seed: int, folder: Path) -> Outcome:
    expected = expectations(small_plan(seed, datetime.now(UTC)))
    prefix = f"{name}-{uuid4().hex[:6]}."
    async with (
        made_database(stack.database_url, "template0") as url,
        opened_road(stack, url, prefix, folder) as road,
    ):
        reading = await play(road, expected, name)
    return Outcome(name=name, seed=seed, verdict=judge(expected, reading))
