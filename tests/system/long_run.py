"""A long run: episode after episode, some side by side, each in a process of its own, until what it is for is reached."""

import logging
import multiprocessing
import signal
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from time import monotonic

from system.blows import Fault
from system.chaos_report import Goals, table
from system.crashes import Crashes
from system.episodes import Episode, plan, play_side_by_side
from system.scenario import Size

SIDE_BY_SIDE = 3  # episodes: on two cores, since most of the time each waits for a fault to pass
STRUCK = Size(orders=16_000, relationships=1_200, inputs=4_000)
CRASHING = Size(orders=4_000, relationships=600, inputs=1_600)
CRASHING_EVERY = 6  # episodes; `make chaos-crashes` is for the points alone
CRASHES_EACH_ROUND = 20
OFTEN = (
    *(Fault.ALL_KILLED,) * 8,
    *(Fault.KILLED,) * 2,
    *(Fault.LOST_COMMITS, Fault.KAFKA_RESET, Fault.POSTGRES_RESET, Fault.LATE_ENDS) * 2,
    *(Fault.KAFKA_CLEAN, Fault.KAFKA_HARD),
    *(Fault.POSTGRES_FAST, Fault.POSTGRES_IMMEDIATE, Fault.POSTGRES_KILLED),
)
OTHERS = 5  # faults of an episode beside these, by chance
_BY_ITSELF = multiprocessing.get_context("spawn")


@dataclass(kw_only=True)
class LongRun:
    """Says after each episode how far it came, also in a file that stays when the run is interrupted."""

    seed: int  # of the first episode; those of the others follow
    folder: Path
    goals: Goals = field(default_factory=Goals)
    episodes: list[Episode] = field(default_factory=list)
    reached: Counter[int] = field(default_factory=Counter)  # points at which workers ended
    failed: list[int] = field(default_factory=list)  # seeds of episodes that did not come to their end
    _begun: int = 0
    _playing: dict[Connection, tuple[int, BaseProcess]] = field(default_factory=dict)

    def play(self, seconds: float) -> bool:
        """Until the goals are reached, or the time is up; then what is being played is played to its end. Interrupted (also
        by SIGTERM), it is given up. Whether anything was wrong."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        end = monotonic() + seconds
        try:
            while self._playing or self._goes_on(end):
                while len(self._playing) < SIDE_BY_SIDE and self._goes_on(end):
                    self._begin()
                for one in wait(list(self._playing)):
                    assert isinstance(one, Connection)
                    self._take(one)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        finally:
            for _, process in self._playing.values():
                process.terminate()
            for _, process in self._playing.values():
                process.join()
        print(self._report())
        return bool(self.failed) or any(episode.is_wrong for episode in self.episodes)

    def _goes_on(self, end: float) -> bool:
        return monotonic() < end and not self.goals.are_reached(self.episodes, self.reached)

    def _begin(self) -> None:
        seed, crashes = self.seed + self._begun, None
        if self._begun % CRASHING_EVERY == CRASHING_EVERY - 1:
            crashes = Crashes(Random(seed), CRASHES_EACH_ROUND, everywhere=self.reached.copy())
        self._begun += 1
        here, there = _BY_ITSELF.Pipe(duplex=False)
        process = _BY_ITSELF.Process(target=_play, args=(there, seed, crashes, self.folder))
        process.start()
        there.close()
        self._playing[here] = seed, process

    def _take(self, one: Connection) -> None:
        seed, process = self._playing.pop(one)
        try:
            episode: Episode = one.recv()
        except EOFError:  # its traceback is printed already
            self.failed.append(seed)
        else:
            self.episodes.append(episode)
            self.reached += episode.reached
            print(f"seed {seed}: {episode.line()}\n{self.goals.report(self.episodes)}", flush=True)
        process.join()
        (self.folder / "report.txt").write_text(self._report())

    def _report(self) -> str:
        failed = [f"FAILED to be played, seeds: {self.failed}"] if self.failed else []
        return "\n".join([table(self.episodes), *failed, self.goals.report(self.episodes), ""])


def _play(there: Connection, seed: int, crashes: Crashes | None, folder: Path) -> None:
    """One episode, in a process of its own."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of this side's clients, which see the servers go too
    if crashes is not None:
        planned = plan(seed, CRASHING, crashes=crashes)
    else:
        planned = plan(seed, STRUCK, faults=[*OFTEN, *Random(seed).sample(list(Fault), k=OTHERS)])
    [episode] = play_side_by_side([planned], folder)
    there.send(episode)
