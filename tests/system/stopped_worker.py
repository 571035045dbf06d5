"""A worker that is told to stop at a moment of its start: `STOPS_AT=module:name python -m system.stopped_worker run`.

The signal comes from within, so that it comes amid what is named, on any machine.
"""

import functools
import importlib
import inspect
import os
import signal
from typing import Any

from relationship_worker.cli import main

VARIABLE = "STOPS_AT"


def _stop_amid(what: str) -> None:
    module, _, path = what.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    original = getattr(owner, name)

    @functools.wraps(original)  # FastStream goes by the signature
    def called(*arguments: Any, **named: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments, **named)

    @functools.wraps(original)
    async def called_async(*arguments: Any, **named: Any) -> Any:
        return await called(*arguments, **named)

    setattr(owner, name, called_async if inspect.iscoroutinefunction(original) else called)


if __name__ == "__main__":
    _stop_amid(os.environ[VARIABLE])
    main()
