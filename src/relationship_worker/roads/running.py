"""Keep a road running: open, work, and after any failure open anew, until its lane closes."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
from aiokafka.errors import KafkaError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from relationship_worker import metrics
from relationship_worker.kafka.lanes import Lane, UnreadablePartition
from relationship_worker.kafka.refusals import is_refusal
from relationship_worker.kafka.transactions import Doubt, FencedOff
from relationship_worker.storage.access import CannotEnter
from relationship_worker.storage.database import ConnectionLost
from relationship_worker.storage.positions import Fenced

log = structlog.get_logger()

FIRST_PAUSE = 0.1  # seconds after a failure; doubled with each further one
LONGEST_PAUSE = 3.0  # seconds; a dependency that is back is noticed that soon
OPEN_AT_ONCE = 32  # lanes of a process: hundreds at once would take each as long as all together, past their time-outs
TURN_LOOK = 0.5  # seconds between two looks of a lane that waits for its turn, whether it closes
OPEN_SECONDS = 90.0  # for all that opens a lane, longer than its parts may take: a client that waits for ever is left
FENCED_PAUSE = 5.0  # seconds; longer than two heartbeats, by which a worker that has lost a partition learns of it
OWN_FAULT_STATES = ("22", "23")  # SQLSTATE classes: data exceptions and violated constraints are nobody else's fault


STOPPED_PAUSE = 30.0  # seconds until a stopped lane looks again whether somebody has mended what stopped it


class StopLane(Exception):
    """Going on would mean guessing. The lane stands still, and says why and what to do, until somebody has acted."""


class Road(Protocol):
    """What a lane is for."""

    async def open(self) -> None:
        """Fence the former owner, read the truth about the position and start the lane there."""

    async def run_once(self) -> int:
        """Work on what has piled up; how much that was."""

    async def close(self) -> None:
        """Give back what `open` took."""


Refusal = Callable[[BaseException], Awaitable[str | None]]
"""What Kafka refuses, in a sentence; None where the error is none of that."""


async def keep_running(lane: Lane, road: Road, turns: asyncio.Semaphore, refusal: Refusal) -> None:
    """Run the road until the lane closes. Whatever fails is done again from the position that is committed.

    `turns`: of all lanes of the process, to open."""
    name = f"{lane.place.topic}-{lane.place.partition}"
    pause = FIRST_PAUSE
    try:
        while not lane.closing:
            try:
                if not await _has_turn(turns, lane):
                    return
                try:
                    if not await _has_opened(road, lane):
                        return
                finally:
                    turns.release()
                lane.stopped = None
                while not lane.closing:
                    if await road.run_once():
                        pause = FIRST_PAUSE
                    lane.come_round()
            except (StopLane, UnreadablePartition) as reason:
                log.error("stopped", lane=name, reason=str(reason))
                lane.stopped = str(reason)
                lane.stop_taking()
                await lane.wait_closing(STOPPED_PAUSE)
            except (Fenced, FencedOff):
                log.warning("fenced by another worker", lane=name)
                metrics.FENCES.labels(lane.topic).inc()
                lane.stop_taking()
                await lane.wait_closing(FENCED_PAUSE)
            except (Exception, asyncio.CancelledError) as error:
                if _is_cut_off(error):
                    raise
                refused = await refusal(error) if is_refusal(error) else None
                if refused is not None:
                    log.error("stopped", lane=name, reason=refused)
                    lane.stopped = refused
                    pause = LONGEST_PAUSE  # whoever gives the right looks on
                elif is_own_fault(error):
                    log.error("failed", lane=name, error=describe(error), where=_where(error))
                    metrics.FAILURES.labels(lane.topic).inc()
                    lane.failed()
                else:
                    log.warning("interrupted, trying again", lane=name, error=describe(error), pause_seconds=pause)
                    (metrics.DOUBTS if isinstance(error, Doubt) else metrics.INTERRUPTIONS).labels(lane.topic).inc()
                lane.stop_taking()
                await lane.wait_closing(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
    finally:
        await asyncio.shield(road.close())


async def _has_turn(turns: asyncio.Semaphore, lane: Lane) -> bool:
    """Wait for a turn, and take it; False where the lane closes meanwhile."""
    while not lane.closing:
        try:
            await asyncio.wait_for(turns.acquire(), TURN_LOOK)
        except TimeoutError:
            lane.moved_at = time.monotonic()  # the others' time, not its own
        else:
            return True
    return False


async def _has_opened(road: Road, lane: Lane) -> bool:
    """Open; False where the lane closes meanwhile. Nothing is in hand yet, so that is given up: a group that shares its
    partitions out anew waits for each of its workers. Raises TimeoutError, and what `open` raises."""
    opening = asyncio.create_task(road.open())
    closing = asyncio.create_task(lane.wait_closing(OPEN_SECONDS))
    try:
        await asyncio.wait((opening, closing), return_when=asyncio.FIRST_COMPLETED)
        if opening.done():
            await opening
            return True
    finally:
        for task in (opening, closing):
            task.cancel()
        await asyncio.wait((opening, closing))
        if not opening.cancelled():
            opening.exception()  # looked at, or Python complains
    if not lane.closing:
        raise TimeoutError
    return False


def _is_cut_off(error: BaseException) -> bool:
    """True where this task is to end. The clients cancel what they wait for themselves, too: that passes, as any failure."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def check_position(lane: Lane, position: int, *, first: int, end: int) -> None:
    """Raises StopLane where the partition no longer holds what lies behind the position, or never did."""
    name = f"{lane.place.topic}-{lane.place.partition}"
    if position < first:
        raise StopLane(
            f"{name}: records from {position} to {first - 1} were deleted before they were read. They are lost to the "
            f"worker; to go on without them, set the position to {first} (see the README, named stops)"
        )
    if position > end:
        raise StopLane(
            f"{name}: the position is {position}, but the partition ends at {end}: the topic was made anew, or Kafka "
            "was restored to an earlier time (see the README, named stops)"
        )


async def run_periodically(
    run_once: Callable[[], Awaitable[int]], *, every: float, name: str, until: asyncio.Event
) -> None:
    """Call `run_once` every so many seconds, at once again while it finds work, until told to stop."""
    pause = FIRST_PAUSE
    while not until.is_set():
        wait = every
        try:
            if await run_once():
                wait = 0
            pause = FIRST_PAUSE
        except (Exception, asyncio.CancelledError) as error:
            if _is_cut_off(error):
                raise
            level = log.error if is_own_fault(error) else log.warning
            level("interrupted, trying again", loop=name, error=describe(error), pause_seconds=pause)
            wait, pause = pause, min(2 * pause, LONGEST_PAUSE)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(until.wait(), wait) if wait else await asyncio.sleep(0)


def is_own_fault(error: BaseException) -> bool:
    """False where Kafka or PostgreSQL is away, slow or restarting: that passes. True where the worker itself failed."""
    state = getattr(
        getattr(error, "orig", error), "sqlstate", None
    )  # COPY goes past SQLAlchemy: its errors are the driver's
    if state or isinstance(error, DBAPIError):
        return (state or "")[:2] in OWN_FAULT_STATES
    away = (Doubt, KafkaError, PoolTimeoutError, asyncio.CancelledError, *ConnectionLost)
    return not isinstance(error, away)


def describe(error: BaseException) -> str:
    """The kinds of the error and its causes. Never its text, but our own: drivers put rows and payloads into it."""
    if isinstance(error, CannotEnter):
        return str(error)
    kinds: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(kinds) < 4:
        kinds.append(type(getattr(seen, "orig", None) or seen).__name__)
        seen = seen.__cause__ or seen.__context__
    return " < ".join(kinds)


def _where(error: BaseException) -> list[str]:
    """File, line and function of each frame, innermost last."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return frames[-6:]
