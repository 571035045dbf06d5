"""How to start the Quix Streams peer: in a Python of its own, see `requirements.lock` beside it."""

from pathlib import Path

HERE = Path(__file__).parent
PYTHON = HERE.parent.parent / ".venv-peers" / "bin" / "python"


def command() -> tuple[str, ...]:
    """Its process."""
    return (str(PYTHON), str(HERE / "quix_exactly_once.py"))


def missing() -> str | None:
    """Why it can't run here."""
    return None if PYTHON.exists() else "Quix Streams is not installed: run it by `make bench`"
