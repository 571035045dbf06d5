"""Room for batches: memory stays bounded however many lanes work at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MOST_AT_WORK = 48 * 1024 * 1024  # bytes of batches; what becomes of them takes three times as much for a while


class Room:
    """Shared by the lanes of a process. Who comes first is let in first; a batch that is larger than all room, alone."""

    def __init__(self, most: int = MOST_AT_WORK) -> None:
        """`most`: bytes of memory."""
        self._most = most
        self._taken = 0
        self._turn = asyncio.Lock()
        self._left = asyncio.Event()

    @asynccontextmanager
    async def take(self, weight: int) -> AsyncIterator[None]:
        """Wait until there is room for so many bytes, and have it for the block."""
        async with self._turn:
            while self._taken and self._taken + weight > self._most:
                self._left.clear()
                await self._left.wait()
            self._taken += weight
        try:
            yield
        finally:
            self._taken -= weight
            self._left.set()
