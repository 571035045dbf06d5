"""Whether the worker lives, and whether it is ready.

Live: the event loop moves, every lane and clock comes round, nothing has died in silence. What is not so ends the process,
since nothing else mends it. Ready: it has its partitions, Kafka and PostgreSQL answer, and it is caught up. A dependency that
is away makes no worker less alive: a restart would not bring it back.
"""

import asyncio
import concurrent.futures
import os
import threading
import time

import structlog

from relationship_worker.kafka.subscribers import Subscription
from relationship_worker.standing import Standing, Surveyor

log = structlog.get_logger()

BEAT_SECONDS = 0.5  # between two beats of the event loop
TICK_SECONDS = 1.0  # of the thread that listens for them
RED_AFTER_TICKS = 10  # without a beat; the longest that the worker computes in one go is a second
END_AFTER_TICKS = 20  # the group has given its partitions away by then, and restarting is all that is left
STUCK_SECONDS = 180.0  # for one round of a lane or a clock; longer than all time-outs in it together
SURVEY_SECONDS = 8.0  # for a survey to come back from the event loop; its own time-outs are shorter
BROKEN = 3  # exit code: not what was asked for, and nobody's SIGTERM


class Health:
    """Judges. What the pages ask for, in threads of theirs, is so marked; all else is called on the event loop."""

    def __init__(self, *, ready_seconds: float) -> None:
        self._ready_seconds = ready_seconds
        self._loop = asyncio.get_running_loop()
        self._subscription: Subscription | None = None
        self._surveyor: Surveyor | None = None
        self._rounds: dict[str, tuple[float, float]] = {}
        self._beats = 0
        self._silent_ticks = 0
        self._stopping = False
        self._beating = asyncio.create_task(self._beat(), name="beat")
        self._closed = threading.Event()
        self.broken: str | None = None
        self.refused: str | None = None  # what Kafka does not let this worker do
        threading.Thread(target=self._listen, name="pulse", daemon=True).start()

    def attach(self, subscription: Subscription, surveyor: Surveyor) -> None:
        """From now on these are judged too."""
        self._subscription, self._surveyor = subscription, surveyor
        self._rounds.clear()

    def came_round(self, name: str, every: float) -> None:
        """A clock has done its work, and will come round again within so many seconds."""
        self._rounds[name] = time.monotonic(), every

    def stopping(self) -> None:
        """The worker finishes what is in hand: it is given nothing new."""
        self._stopping = True

    def close(self) -> None:
        """Stop listening to the loop, which is about to end."""
        self._closed.set()
        self._beating.cancel()

    def look_for_trouble(self) -> str | None:
        """What is broken for good, if anything; the process is to end."""
        if self._subscription is not None and not self._stopping:
            self.broken = self.broken or self._subscription.broken() or self._stuck(self._subscription)
        return self.broken

    def _stuck(self, subscription: Subscription) -> str | None:
        now = time.monotonic()
        late = [name for name, (at, every) in self._rounds.items() if now - at > every + STUCK_SECONDS]
        late += [
            f"{lane.topic}-{lane.place.partition}" for lane in subscription.lanes if now - lane.moved_at > STUCK_SECONDS
        ]
        return f"{', '.join(late)} (no round in {STUCK_SECONDS:g} s)" if late else None

    async def _beat(self) -> None:
        while True:
            self._beats += 1
            await asyncio.sleep(BEAT_SECONDS)

    def _listen(self) -> None:
        """In ticks of its own: a machine that sleeps, or a process that is halted, is not taken for a blocked loop."""
        heard = -1
        while not self._closed.wait(TICK_SECONDS):
            self._silent_ticks = 0 if self._beats != heard else self._silent_ticks + 1
            heard = self._beats
            if self._silent_ticks >= END_AFTER_TICKS:
                log.error("broken", what="the event loop is blocked", seconds=self._silent_ticks * TICK_SECONDS)
                os._exit(BROKEN)

    def not_alive(self) -> list[str]:
        """Why the worker is as good as dead; nothing where it lives. From any thread."""
        why = [f"{self.broken} is broken"] if self.broken else []
        if self._silent_ticks >= RED_AFTER_TICKS:
            why.append(f"the event loop has not moved for {self._silent_ticks * TICK_SECONDS:g} s")
        return why

    def not_ready(self, seen: Standing | None) -> list[str]:
        """Why the worker is not up to its work, by that survey; nothing where it is. From any thread."""
        why = self.not_alive()
        if self._stopping:
            why.append("stopping")
        if self._subscription is None or not self._subscription.assigned.is_set():
            why.append("no partitions were assigned yet")
        if self.refused:
            why.append(self.refused)
        if seen is None:
            return [*why, "the worker does not answer yet"]
        if not seen.kafka_answers:
            why.append("Kafka does not answer")
        if seen.waiting is None:
            why.append("PostgreSQL does not answer")
        why += [f"{lane} stands still: {reason}" for lane, reason in seen.stopped.items()]
        why += [
            f"{p.topic}-{p.partition} is {p.oldest_undecided_seconds:.0f} s behind"
            for p in seen.partitions
            if p.oldest_undecided_seconds > self._ready_seconds
        ]
        return why

    def survey(self) -> Standing | None:
        """A survey by the event loop; None where there is nothing to look at yet, or the loop does not answer. From any
        thread but the loop's."""
        if self._surveyor is None:
            return None
        looking = asyncio.run_coroutine_threadsafe(self._surveyor.look(), self._loop)
        try:
            return looking.result(SURVEY_SECONDS)
        except (concurrent.futures.TimeoutError, concurrent.futures.CancelledError, RuntimeError):
            looking.cancel()
            return None
