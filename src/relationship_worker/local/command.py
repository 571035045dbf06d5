"""The command `relationship-worker local`."""

import signal
import sys
import threading
import time

from relationship_worker.local.processes import StackUnavailable
from relationship_worker.local.stack import running_stack


def local() -> None:
    """Start the stack, print the settings to export, stay until interrupted."""
    over = threading.Event()
    for sent in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sent, lambda *_: over.set())
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"  {line} …", file=sys.stderr, flush=True)

    try:
        with running_stack(say) as stack:
            for name, value in stack.environment.items():
                print(f"export {name}={value}", flush=True)
            print(
                f"  up in {time.monotonic() - began:.1f} s. In another terminal: export these two, then "
                "`relationship-worker init` and `relationship-worker run`. Ctrl-C ends both servers and their data.",
                file=sys.stderr,
                flush=True,
            )
            over.wait()
    except StackUnavailable as why:
        print(f"relationship-worker: {why}", file=sys.stderr)
        sys.exit(3)
