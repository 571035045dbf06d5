"""Verified TLS to PostgreSQL: who is trusted, who is let in, and what is said where not."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.storage.access import Access, CannotEnter, UnsafeAddress, way
from relationship_worker.storage.database import open_database, rows, transaction
from secured.certificates import Authority
from secured.postgres import BY_CERTIFICATE, SecuredPostgres, as_user, secured_postgres

SECRET, NEWER = "geheim/4711@", "neuer:geheim"
DESK = "desk"  # a role with a password


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[SecuredPostgres]:
    with secured_postgres(authority) as server:
        yield server


@pytest.fixture
async def postgres(server: SecuredPostgres, authority: Authority) -> SecuredPostgres:
    """With a valid certificate and the first passwords, whatever the test before has done."""
    server.show(authority.issue("server"))
    made = [f"DROP ROLE IF EXISTS {r}; CREATE ROLE {r} LOGIN PASSWORD '{SECRET}'" for r in (DESK, BY_CERTIFICATE)]
    await server.ask("ALTER SYSTEM RESET ssl", *made, "SELECT pg_reload_conf()")
    return server


async def who(engine: AsyncEngine) -> str:
    """Whom PostgreSQL takes this connection for, over TLS."""
    try:
        async with transaction(engine) as tx:
            [row] = await rows(
                tx,
                "SELECT usename, ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE pid = pg_backend_pid()",
            )
        assert row.ssl
        return str(row.usename)
    finally:
        await engine.dispose()


def desk(postgres: SecuredPostgres, authority: Authority, **more: Path) -> AsyncEngine:
    access = Access(ca_file=authority.file, **more)
    return open_database(as_user(postgres.address, DESK, SECRET), connections=1, access=access)


async def test_a_right_certificate_and_password_let_the_worker_in(postgres, authority):
    assert await who(desk(postgres, authority)) == DESK


async def test_the_address_may_name_the_authority_as_other_clients_have_it(postgres, authority):
    address = as_user(postgres.address, DESK, SECRET) + f"?sslmode=verify-full&sslrootcert={authority.file}"

    assert await who(open_database(address, connections=1)) == DESK


async def test_an_expired_certificate_is_not_trusted(postgres, authority):
    postgres.show(authority.issue("server", until=datetime.now(UTC) - timedelta(minutes=1)))
    await postgres.reload()

    with pytest.raises(CannotEnter, match=r"at 127\.0\.0\.1 is not trusted: its certificate has expired: renew it"):
        await who(desk(postgres, authority))


@pytest.mark.parametrize("host", ["db.example.org", "127.0.0.2"])
async def test_a_certificate_of_another_host_is_not_trusted(postgres, authority, host):
    postgres.show(authority.issue("server", host=host))
    await postgres.reload()

    with pytest.raises(CannotEnter, match="not trusted: its certificate is made out to another address: use the name"):
        await who(desk(postgres, authority))


async def test_a_certificate_of_another_name_is_not_trusted(postgres, authority):
    address = as_user(postgres.address, DESK, SECRET).replace("127.0.0.1", "localhost")

    with pytest.raises(CannotEnter, match="at localhost is not trusted: its certificate is made out to another host"):
        await who(open_database(address, connections=1, access=Access(ca_file=authority.file)))


async def test_a_certificate_of_an_authority_that_is_not_named_is_not_trusted(postgres, tmp_path):
    other = Authority(tmp_path, "other")

    with pytest.raises(
        CannotEnter, match="not trusted: its certificate is signed by an authority that is not in the CA"
    ):
        await who(desk(postgres, other))


async def test_the_systems_authorities_count_where_none_is_named(postgres):
    address = as_user(postgres.address, DESK, SECRET) + "?sslmode=verify-full"

    with pytest.raises(
        CannotEnter, match="not trusted: its certificate is signed by an authority that is not in the CA"
    ):
        await who(open_database(address, connections=1))


async def test_a_server_without_tls_is_named_with_what_to_do(postgres, authority):
    await postgres.ask("ALTER SYSTEM SET ssl = off", "SELECT pg_reload_conf()")
    with pytest.raises(CannotEnter, match=r"does not speak TLS: switch it on there \(ssl = on\), or .* --insecure"):
        await who(desk(postgres, authority))


async def test_a_client_certificate_lets_its_role_in_without_a_password(postgres, authority):
    own = authority.issue(BY_CERTIFICATE)
    access = Access(ca_file=authority.file, certificate_file=own.certificate, key_file=own.key)

    assert (
        await who(open_database(as_user(postgres.address, BY_CERTIFICATE), connections=1, access=access))
        == BY_CERTIFICATE
    )


async def test_a_client_certificate_may_lie_in_one_file_with_its_key(postgres, authority):
    access = Access(ca_file=authority.file, certificate_file=authority.issue(BY_CERTIFICATE).both)

    assert (
        await who(open_database(as_user(postgres.address, BY_CERTIFICATE), connections=1, access=access))
        == BY_CERTIFICATE
    )


@pytest.mark.parametrize("wrong", ["none", "another role's", "of another authority", "expired"])
async def test_a_wrong_client_certificate_lets_nobody_in(postgres, authority, tmp_path, wrong):
    access = Access(ca_file=authority.file)
    if wrong != "none":
        own = {
            "another role's": lambda: authority.issue(DESK),
            "of another authority": lambda: Authority(tmp_path, "other").issue(BY_CERTIFICATE),
            "expired": lambda: authority.issue(BY_CERTIFICATE, until=datetime.now(UTC) - timedelta(minutes=1)),
        }[wrong]()
        access = Access(ca_file=authority.file, certificate_file=own.certificate, key_file=own.key)

    with pytest.raises(
        CannotEnter, match=r"(let by_certificate in|the worker's certificate).*must be signed by the auth"
    ):
        await who(open_database(as_user(postgres.address, BY_CERTIFICATE), connections=1, access=access))


async def test_a_wrong_password_lets_nobody_in(postgres, authority):
    address = as_user(postgres.address, DESK, NEWER)

    with pytest.raises(CannotEnter, match="refuses the password of desk: is it the one that is set there"):
        await who(open_database(address, connections=1, access=Access(ca_file=authority.file)))


async def test_a_role_that_is_not_there_is_named(postgres, authority):
    address = as_user(postgres.address, "nobody", SECRET)

    with pytest.raises(CannotEnter, match="refuses the password of nobody"):
        await who(open_database(address, connections=1, access=Access(ca_file=authority.file)))


async def test_the_passwords_file_is_read_at_each_new_connection(postgres, authority, tmp_path):
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    access = Access(ca_file=authority.file, password_file=file)
    engine = open_database(as_user(postgres.address, DESK, "of the address"), connections=1, access=access)
    assert await who(engine) == DESK

    await postgres.ask(f"ALTER ROLE {DESK} PASSWORD '{NEWER}'")
    with pytest.raises(CannotEnter, match="refuses the password"):
        await who(engine)
    file.write_text(NEWER)

    assert await who(engine) == DESK


async def test_certificates_are_read_at_each_new_connection(postgres, authority, tmp_path):
    newer = Authority(tmp_path, "newer")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(authority.file.read_bytes())
    engine = open_database(as_user(postgres.address, DESK, SECRET), connections=1, access=Access(ca_file=trusted))
    assert await who(engine) == DESK

    postgres.show(newer.issue("server"))
    await postgres.reload()
    with pytest.raises(CannotEnter, match="not in the CA file"):
        await who(engine)
    trusted.write_bytes(newer.file.read_bytes())

    assert await who(engine) == DESK


@pytest.mark.parametrize(
    ("field", "text", "says"),
    [
        ("ca_file", None, "authorities, FILE, can't be read: No such file"),
        ("ca_file", "no certificate", "authorities, FILE, has no certificate in PEM"),
        ("certificate_file", None, "FILE or the same, can't be read: No such file"),
        ("certificate_file", "no certificate", "FILE and the same, are no PEM that can be read"),
        ("password_file", None, "password, FILE, can't be read: No such file"),
        ("password_file", "\n", "password, FILE, is empty"),
    ],
)
async def test_a_file_that_is_no_good_is_named(postgres, authority, tmp_path, field, text, says):
    file = tmp_path / "file"
    if text is not None:
        file.write_text(text)
    access = Access(**{"ca_file": authority.file, field: file})

    with pytest.raises(CannotEnter, match=says.replace("FILE", str(file))):
        await who(open_database(as_user(postgres.address, DESK, SECRET), connections=1, access=access))


async def test_a_key_of_another_certificate_is_named(postgres, authority):
    one, other = authority.issue("one"), authority.issue("other")
    access = Access(ca_file=authority.file, certificate_file=one.certificate, key_file=other.key)

    with pytest.raises(CannotEnter, match="don't belong together"):
        await who(open_database(as_user(postgres.address, DESK, SECRET), connections=1, access=access))


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca"])
@pytest.mark.parametrize("word", ["sslmode", "ssl"])
def test_less_than_verified_tls_is_refused_beyond_loopback(mode, word):
    address = f"postgresql://desk:{SECRET}@db.example.org/worker?{word}={mode}".replace(SECRET, "x")

    with pytest.raises(UnsafeAddress, match=f"sslmode={mode}, by which anybody .* say verify-full or .* --insecure"):
        way(address, Access())

    assert way(address, Access(insecure=True)).mode == mode


@pytest.mark.parametrize(
    ("address", "mode"),
    [
        ("postgresql://db.example.org/worker", "verify-full"),
        ("postgresql://db.example.org/worker?sslmode=verify-full", "verify-full"),
        ("postgresql://10.0.0.7/worker", "verify-full"),
        ("postgresql:///worker?host=db.example.org", "verify-full"),
        ("postgresql:///worker?host=127.0.0.1:5432&host=db.example.org:5432", "verify-full"),
        ("postgresql://127.0.0.1/worker", "disable"),
        ("postgresql://127.9.0.1/worker", "disable"),
        ("postgresql://[::1]/worker", "disable"),
        ("postgresql://localhost/worker", "disable"),
        ("postgresql:///worker", "disable"),
        ("postgresql:///worker?host=/var/run/postgresql", "disable"),
        ("postgresql://127.0.0.1/worker?sslmode=require", "require"),
        ("postgresql://127.0.0.1/worker?sslmode=verify-full", "verify-full"),
        ("postgresql://127.0.0.1/worker?sslrootcert=ca.pem", "verify-full"),
    ],
)
def test_plain_text_goes_no_further_than_loopback(address, mode, monkeypatch):
    monkeypatch.delenv("PGHOST", raising=False)
    assert way(address, Access()).mode == mode


def test_where_the_address_names_no_host_the_environments_counts(monkeypatch):
    monkeypatch.setenv("PGHOST", "db.example.org")

    assert way("postgresql:///worker", Access()).mode == "verify-full"


def test_insecure_allows_plain_text_and_takes_nothing_from_who_asks_for_tls():
    insecure = Access(insecure=True)

    assert way("postgresql://db.example.org/worker", insecure).mode == "disable"
    assert way("postgresql://db.example.org/worker?sslmode=verify-full", insecure).mode == "verify-full"
    assert way("postgresql://db.example.org/worker?sslrootcert=ca.pem", insecure).mode == "verify-full"


@pytest.mark.parametrize("address", ["postgresql://desk:geheim@h:port/worker", "postgresql://h:port/worker"])
def test_an_address_that_cannot_be_read_is_not_repeated(address):
    with pytest.raises(UnsafeAddress, match="can't be read") as why:
        way(address, Access())

    assert "heim" not in str(why.value)
