"""Runs a server until its own standard input ends: `python -m relationship_worker.local.guard SIGNAL USER COMMAND…`.

Whoever started it holds the other end. A line names the signal to end the server with; the end of input, which also comes
when that process was killed, ends it with the signal given at the start. The server's folder goes with a lost owner.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

STOP_SECONDS = 20  # then it is killed


def main() -> int:
    """Until the input or the server ends."""
    clean = signal.Signals[sys.argv[1]]
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    server = subprocess.Popen(sys.argv[3:], user=sys.argv[2] or None, stdin=subprocess.DEVNULL, preexec_fn=_as_before)
    line = _until_told(server)
    if server.poll() is None:
        server.send_signal(signal.Signals[line] if line else clean)
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
    if not line:
        _remove_with_owner(Path.cwd())
    return server.returncode


def _as_before() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_DFL)


def _until_told(server: subprocess.Popen[bytes]) -> str:
    while server.poll() is None:
        readable, _, _ = select.select([0], [], [], 0.5)
        if readable:
            return os.read(0, 100).decode().strip()
    return "ended"


def _remove_with_owner(folder: Path) -> None:
    """Nobody is left to tidy up: the stack's folder, which is a temporary one, goes too."""
    stack = folder.parent
    if stack.name.startswith("relationship-worker-stack-") and stack.parent == Path(tempfile.gettempdir()):
        shutil.rmtree(stack, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
