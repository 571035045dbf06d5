"""Moments at which a worker process is struck from within: exactly where it matters, once in a play."""

import os
import signal
from pathlib import Path

FOLDER_VARIABLE = "SABOTAGE_FOLDER"  # where processes of one play leave word for each other


def first_time(what: str) -> bool:
    """True for one process of the play, once."""
    try:
        (Path(os.environ[FOLDER_VARIABLE]) / what).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def die_once() -> None:
    """As by `kill -9`, the first time that any process comes here."""
    if first_time("died"):
        os.kill(os.getpid(), signal.SIGKILL)


def stop_once() -> None:
    """As by `kill -STOP`; whoever plays lets it go on."""
    if first_time("stopped"):
        os.kill(os.getpid(), signal.SIGSTOP)
