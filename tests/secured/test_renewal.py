"""Certificates and secrets are renewed while the worker runs: it takes the new ones by itself, and never a broken one."""

import asyncio
import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from relationship_worker.kafka.files import BrokenFile, Password, SecretFile, TokenFile
from relationship_worker.kafka.rights import Role
from secured.broker import RENEWED
from secured.certificates import Authority, Issued
from secured.people import Desk
from secured.work import all_works


async def test_a_worker_goes_on_with_new_certificates_once_the_old_ones_are_trusted_no_more(desk: Desk):
    secured, folder = desk.secured, desk.folder
    authority = folder / "ca.crt"
    own = Issued(folder / "tls.crt", folder / "tls.key", folder / "unused")
    old = secured.clients.issue("run")
    put(old, own, secured.authority, authority)
    await desk.allow_role(Role.RUN)
    await desk.road.init()
    await desk.road.start(**desk.by_tls(RENEWED, own, CA_FILE=str(authority)))
    await all_works(desk, 1)

    own.certificate.write_text("half a certificate")
    await asyncio.to_thread(secured.start_again)  # every connection is a new one
    await all_works(desk, 2)
    log = await asyncio.to_thread(desk.road.logs[-1].read_text)
    assert "certificates can't be read, the former ones are used" in log
    assert str(own.certificate) in log

    servers, clients = Authority(folder, "new-servers"), Authority(folder, "new-clients")
    put(clients.issue("run"), own, servers, authority)
    secured.keys[RENEWED], secured.trusted[RENEWED] = servers.issue("broker"), clients.file
    await asyncio.to_thread(secured.start_again)
    await all_works(desk, 3)
    said = await desk.call("init", **desk.by_tls(RENEWED, old, CA_FILE=str(authority)))
    assert "does not take the worker's certificate" in said.err
    assert await desk.road.stop() == [0]


def put(issued: Issued, own: Issued, signed_by: Authority, authority: Path) -> None:
    shutil.copy(issued.certificate, own.certificate)
    shutil.copy(issued.key, own.key)
    shutil.copy(signed_by.file, authority)


async def test_a_new_password_and_a_new_token_are_read_for_the_next_connection(tmp_path: Path):
    file = tmp_path / "secret"
    file.write_text("first\n")
    password, tokens = Password(SecretFile(file).read), TokenFile(file)

    file.write_text("second\n")

    assert password.encode("utf-8") == b"second"
    assert await tokens.token() == "second"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * 70_000])
def test_of_a_secret_that_is_broken_the_former_one_stays_and_the_log_names_the_file(tmp_path: Path, content: bytes):
    file = tmp_path / "secret"
    file.write_text("first")
    secret = SecretFile(file)
    file.write_bytes(content)

    with capture_logs() as logs:
        assert secret.read() == "first"

    assert [str(file) in line["why"] for line in logs] == [True]


def test_a_secret_that_is_not_there_at_the_start_is_named(tmp_path: Path):
    with pytest.raises(BrokenFile, match=f"{tmp_path / 'none'} can't be read: No such file"):
        SecretFile(tmp_path / "none")
