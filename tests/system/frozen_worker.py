"""A worker that is frozen amid its first COPY of answers, as by `kill -STOP`: `python -m system.frozen_worker run`."""

import os
import signal
from collections.abc import AsyncIterator

from relationship_worker.cli import main
from relationship_worker.storage import answers


async def _never(data: bytes) -> AsyncIterator[bytes]:
    """The server waits for rows already."""
    os.kill(os.getpid(), signal.SIGSTOP)
    yield data


if __name__ == "__main__":
    answers._once = _never
    main()
