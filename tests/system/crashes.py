"""Lets workers end at one point of their work after the other, those first that were reached least."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from time import monotonic

from system.crash_points import EXIT, IN_EPISODES, VARIABLE

AT_ONCE = 12  # points at which a worker may end: not each is reached in each round
AHEAD = 10  # times: where one is reached so much less often, workers do not end at the others before it
PASSES = 3  # at the most: the first batch is not always the one


@dataclass
class Crashes:
    """What a run's workers are told, and where they ended."""

    rng: Random
    each_round: int  # workers that end so; those that are started then just work
    reached: Counter[int] = field(default_factory=Counter)
    everywhere: Counter[int] = field(default_factory=Counter)  # also in other runs, beside this one or before it
    points: Sequence[int] = range(len(IN_EPISODES))  # those at which workers are to end
    until: float = math.inf  # on the monotonic clock: from then on workers just work
    _left: int = 0

    def begin_round(self) -> None:
        """So many may end again."""
        self._left = self.each_round

    def settings(self) -> dict[str, str]:
        """What the next worker is given."""
        if self._left <= 0 or monotonic() > self.until:
            return {VARIABLE: "{}"}
        numbers = self.rng.sample(self.points, k=len(self.points))
        least = sorted(numbers, key=lambda number: self.everywhere[number])[:AT_ONCE]
        least = [number for number in least if self.everywhere[number] <= self.everywhere[least[0]] + AHEAD]
        return {VARIABLE: json.dumps({number: self.rng.randint(1, PASSES) for number in least})}

    def has_ended(self, code: int) -> bool:
        """Whether that is the exit code of a worker that ended at a point; it is counted."""
        number = code - EXIT
        if not 0 <= number < len(IN_EPISODES):
            return False
        self.reached[number] += 1
        self.everywhere[number] += 1
        self._left -= 1
        return True
