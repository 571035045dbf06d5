"""Servers as child processes that end with whoever started them, kill -9 included."""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

START_SECONDS = 240  # a start takes some seconds; on a machine that others keep busy, minutes
STOP_SECONDS = 20  # then it is killed
POLL = 0.02  # seconds


class StackUnavailable(Exception):
    """The local stack can't be had; the message is one line that says why."""


def cache_folder() -> Path:
    """What is fetched once per user; RELATIONSHIP_WORKER_CACHE puts it elsewhere."""
    own = os.environ.get("RELATIONSHIP_WORKER_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "relationship-worker"


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """One process at a time; the others wait."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server in a folder of its own. Prepared once; started and stopped as often as one likes, on the same port."""

    name = "server"
    user: str | None = None
    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Make what the first start needs."""
        raise AssertionError("each server says its own")

    def command(self) -> list[str]:
        """What is run, in the folder."""
        raise AssertionError("each server says its own")

    def answers(self) -> bool:
        """True once it takes connections."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def start(self) -> None:
        """Start and wait until it answers. Raises StackUnavailable with the log's last line."""
        # The guard reads a pipe that only this process holds the other end of: it ends, however that comes about, when
        # this process does, and takes the server with it.
        guard = [sys.executable, "-m", "relationship_worker.local.guard", self.stop_signal.name, self.user or ""]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*guard, *self.command()],
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=self._environment(),
            )
        self.wait()

    def _environment(self) -> dict[str, str]:
        here = str(Path(__file__).parents[2])
        return dict(os.environ, PYTHONPATH=here)

    def wait(self) -> None:
        """Until it answers."""
        end = time.monotonic() + START_SECONDS
        while not self.answers():
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > end:
                lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
                raise StackUnavailable(f"{self.name} did not start: {lines[-1][:200] if lines else 'no output'}")
            time.sleep(POLL)

    def stop(self, sent: signal.Signals | None = None) -> None:
        """End it: cleanly, or with the signal given, and wait until it is gone."""
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write((sent or self.stop_signal).name.encode() + b"\n")
            process.stdin.close()
        try:
            process.wait(STOP_SECONDS + 5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)
