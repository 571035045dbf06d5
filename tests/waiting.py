"""Wait on a condition, not on time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

BOUND = 60.0  # seconds; far above what anything takes, so that a busy machine fails no test
STEP = 0.05  # seconds between two looks


async def until(what: str, look: Callable[[], Awaitable[T]], *, seconds: float = BOUND) -> T:
    """The first true result of `look`. Fails with what was waited for."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        found = await look()
        if found:
            return found
        assert asyncio.get_running_loop().time() < end, f"waited {seconds:g} s in vain: {what}"
        await asyncio.sleep(STEP)
