"""How to start the Kafka Streams peer: jars from Maven, compiled by Eclipse's compiler, run by the local stack's Java."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from relationship_worker.local.kafka import FETCH_SECONDS, _java
from relationship_worker.local.processes import StackUnavailable, cache_folder, locked

SOURCE = Path(__file__).parent / "KafkaStreamsPeer.java"
# The newest Kafka Streams that Maven Central has: 4.4.0, the broker's version, was published without it.
KAFKA_STREAMS = "org.apache.kafka:kafka-streams:4.3.1"
COMPILER = "org.eclipse.jdt:ecj:3.46.100"  # the Java that comes as a wheel has no javac
JARS = [
    KAFKA_STREAMS,
    "com.fasterxml.jackson.core:jackson-databind:2.21.7",
    "org.slf4j:slf4j-simple:1.7.36",
    COMPILER,
]
WITHOUT = ["org.rocksdb:rocksdbjni"]  # 73 MB that nothing loads while the only store is in memory
COMPILE_SECONDS = 60
LANGUAGE = "-21"
# G1, which two cores and 512 MB would not always be given by themselves, was ahead of Serial and of Parallel.
JVM = ("-Xms512m", "-Xmx512m", "-XX:+UseG1GC")


@dataclass(frozen=True)
class Prepared:
    """How to start the peer, or why that can't be had here."""

    command: tuple[str, ...] = ()
    missing: str | None = None


def prepared() -> Prepared:
    """Fetch and compile what is not there yet; both are kept for all projects of this user."""
    try:
        java = _java()
        jars = _jars()
        classes = _classes(java, jars)
    except StackUnavailable as why:
        return Prepared(missing=str(why))
    path = ":".join(str(part) for part in (classes, *(jar for jar in jars if not jar.name.startswith("ecj-"))))
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return Prepared(command=(java, *JVM, quiet, "-cp", path, SOURCE.stem))


def _jars() -> list[Path]:
    """Those of Kafka Streams, of Jackson and of the compiler. Raises StackUnavailable."""
    folder = cache_folder() / f"kafka-streams-{_digest(*JARS, *WITHOUT)}"
    with locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            print(f"  fetching {KAFKA_STREAMS} and a compiler: 11 jars, 29 MB, once …", file=sys.stderr)
            _fetch(folder)
    return sorted(folder.glob("*.jar"))


def _fetch(folder: Path) -> None:
    """Into a folder beside it first, so that an interrupted download is never taken for a whole one."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as work:
        wanted = Path(work) / "jgo.toml"  # the command line can't leave a dependency out
        wanted.write_text(
            f'[environment]\nname = "kafka-streams-peer"\n'
            f"[dependencies]\ncoordinates = {json.dumps(JARS)}\nexclusions = {json.dumps(WITHOUT)}\n"
        )
        jgo = Path(sys.executable).parent / "jgo"
        _run(
            [str(jgo), "--resolver", "python", "--file", str(wanted), "info", "jars"],
            FETCH_SECONDS,
            "Kafka Streams' jars could not be fetched",
            {"JGO_CACHE_DIR": work},
        )
        ready = Path(work) / "ready"
        ready.mkdir()
        for jar in {jar.name: jar for jar in Path(work).rglob("*.jar")}.values():
            shutil.copy(jar, ready)
        ready.rename(folder)


def _classes(java: str, jars: list[Path]) -> Path:
    """The folder of the class files, named after what they are made of. Raises StackUnavailable."""
    folder = cache_folder() / f"kafka-streams-peer-{_digest(SOURCE.read_text(), LANGUAGE, *JARS)}"
    with locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            compiler = next(str(jar) for jar in jars if jar.name.startswith("ecj-"))
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix="compiling-") as work:
                into = Path(work) / "classes"
                path = ":".join(str(jar) for jar in jars)
                _run(
                    [
                        java,
                        "-jar",
                        compiler,
                        LANGUAGE,
                        "-nowarn",
                        "-proc:none",
                        "-cp",
                        path,
                        "-d",
                        str(into),
                        str(SOURCE),
                    ],
                    COMPILE_SECONDS,
                    f"{SOURCE.name} could not be compiled",
                )
                into.rename(folder)
    return folder


def _run(command: list[str], seconds: float, failure: str, environment: dict[str, str] | None = None) -> None:
    """Raises StackUnavailable: what was attempted, and the last line that was said."""
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as why:
        raise StackUnavailable(f"{failure}: {type(why).__name__}") from why
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no answer"]
        raise StackUnavailable(f"{failure}: {last[0][:200]}")


def _digest(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:16]
