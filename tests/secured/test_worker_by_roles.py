"""The whole worker as an administrator runs it: by TLS, each by a role of his own, and what is rotated meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relationship_worker.local.stack import Stack
from roads.driving import SHOP, Road, opened_road, pair
from roads.trouble import place_of
from secured.certificates import Authority
from secured.postgres import SecuredPostgres, as_user, secured_postgres
from waiting import until
from watching import watched

ROLES_FILE = Path(__file__).parents[2] / "deploy" / "postgresql-roles.sql"
SECRET, NEWER = "geheim/4711", "neuer:geheim"
WORKER = "relationship_worker"
SHOPS_READER = "shop_1_reader"
PREFIX = "RELATIONSHIP_WORKER_DATABASE_"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def server(authority: Authority) -> Iterator[SecuredPostgres]:
    with secured_postgres(authority) as server:
        yield server


@pytest.fixture
async def by_roles(
    server: SecuredPostgres, authority: Authority, stack: Stack, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Road]:
    """Roles by the administrator's file, schema by `init` as the owner; whatever runs afterwards is the worker's role."""
    await asyncio.to_thread(server.run_file, ROLES_FILE)
    passwords = [f"ALTER ROLE {WORKER}{kind} PASSWORD '{SECRET}'" for kind in ("", "_owner", "_reader")]
    own = f"CREATE ROLE {SHOPS_READER} LOGIN PASSWORD '{SECRET}' IN ROLE {WORKER}_supplier"
    await server.ask(*passwords, own)
    trusted, password = tmp_path / "trusted.pem", tmp_path / "password"
    trusted.write_bytes(authority.file.read_bytes())
    password.write_text(SECRET)
    files = {f"{PREFIX}CA_FILE": str(trusted), f"{PREFIX}PASSWORD_FILE": str(password)}
    owner = as_user(server.address, f"{WORKER}_owner", database=WORKER)
    async with opened_road(stack, owner, topic_prefix, tmp_path, **files, **{f"{PREFIX}WORKER_ROLE": WORKER}) as road:
        await server.ask(f"INSERT INTO supplier_readers VALUES ('{SHOPS_READER}', '{SHOP}')", database=WORKER)
        road.settings["DATABASE_URL"] = as_user(server.address, WORKER, database=WORKER)
        yield road


def said_by(road: Road) -> str:
    return "".join(log.read_text(errors="replace") for log in road.logs)


async def test_a_worker_that_owns_nothing_does_all_that_it_is_for(by_roles: Road, server: SecuredPostgres):
    road = by_roles
    await road.start()
    await road.request("anna")
    await road.accept("anna", "00042")
    await road.order("O-1", "anna")
    await road.request("ben")
    days = {"resubmission_date": datetime.now(UTC).date().isoformat(), "decided_by": "desk"}
    await road.send("supplier.connection.deferred", {**pair("ben"), **days}, at=datetime.now(UTC) - timedelta(hours=1))
    await road.send("marketplace.order.created", b"{", key=b"broken", id_="broken")
    await road.send("marketplace.customer.erased", pair("anna"), at=datetime.now(UTC))

    [order] = await road.told("enriched-orders", 1)
    [letter] = await road.told("dead-letters", 1)
    assert order.answer["number"] == "00042"

    mended = road.folder / "mended.json"
    mended.write_text('{"order_id": "O-2", "supplier_id": "shop-1", "customer_id": "anna"}')
    place = place_of(letter)
    for command in (
        ("dead-letters", "edit", place, "--value", str(mended), "--why", "mended"),
        ("dead-letters", "replay", place, "--dry-run"),
        ("dead-letters", "replay", place),
    ):
        code, _, err = await road.command(*command)
        assert code == 0, err
    assert len(await road.told("enriched-orders", 2)) == 2
    await road.settled()
    assert await server.ask("SELECT FROM erasures", database=WORKER) != []
    assert await road.stop() == [0]

    await server.ask(
        """CREATE OR REPLACE FUNCTION period_clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS
           $$ SELECT clock_timestamp() + interval '180 days' $$""",
        database=WORKER,
    )
    await road.start()
    await road.order("O-3", "anna")
    assert len(await road.told("enriched-orders", 3)) == 3
    await until("the old period to be gone", lambda: _one_period_and_the_next(server))
    assert "failed" not in said_by(road)
    assert SECRET not in said_by(road)


async def _one_period_and_the_next(server: SecuredPostgres) -> bool:
    found = await server.ask("SELECT FROM pg_inherits WHERE inhparent = 'answers'::regclass", database=WORKER)
    return len(found) in (1, 2) and not await server.ask(
        "SELECT FROM pg_class WHERE relname = 'answers_p' || period_of(period_clock()) - 6", database=WORKER
    )


async def test_those_who_read_use_every_command_that_reads_and_a_supplier_sees_its_own(
    by_roles: Road, server: SecuredPostgres
):
    road = by_roles
    await road.start()
    await road.request("anna")
    await road.order("O-1", "anna")
    await road.told("enriched-orders", 1)
    await road.settled()
    reads = [
        ("explain", "--supplier", SHOP, "O-1"),
        ("relationships", "--supplier", SHOP),
        ("relationship", "--supplier", SHOP, "anna"),
    ]
    for_all = [*reads, ("shadow", "--since", "7d"), ("dead-letters", "list")]

    for user, commands in ((f"{WORKER}_reader", for_all), (SHOPS_READER, reads)):
        for command in commands:
            code, out, err = await road.command(*command, DATABASE_URL=as_user(server.address, user, database=WORKER))
            assert code == 0, (command, err)
            assert "anna" in out or command[0] in ("shadow", "dead-letters")

    await server.ask("UPDATE supplier_readers SET supplier_id = 'shop-2'", database=WORKER)
    code, out, _ = await road.command(*reads[2], DATABASE_URL=as_user(server.address, SHOPS_READER, database=WORKER))
    assert (code, out) == (1, "")


async def test_everything_is_rotated_while_the_worker_runs(by_roles: Road, server: SecuredPostgres, tmp_path: Path):
    road = by_roles
    await road.start()
    worker = await watched(road.logs[0])
    await road.order("O-1", "anna")
    await road.told("enriched-orders", 1)

    (tmp_path / "new").mkdir()
    newer = Authority(tmp_path / "new", "newer")
    server.show(newer.issue("server"))
    await server.ask(f"ALTER ROLE {WORKER} PASSWORD '{NEWER}'")
    await server.reload()
    await worker.turns("/health/ready", 503, "PostgreSQL does not answer")
    (tmp_path / "trusted.pem").write_bytes(newer.file.read_bytes())
    (tmp_path / "password").write_text(NEWER)
    await road.order("O-2", "anna")

    assert len(await road.told("enriched-orders", 2)) == 2
    said = said_by(road) + (await worker.get("/status"))[1] + (await worker.get("/metrics"))[1]
    assert "is not trusted: its certificate is signed by an authority that is not in the CA file" in said
    assert SECRET not in said
    assert NEWER not in said
    assert await road.stop() == [0]


COMMANDS = [
    ("init",),
    ("run",),
    ("explain", "--supplier", SHOP, "O-1"),
    ("relationships", "--supplier", SHOP),
    ("relationship", "--supplier", SHOP, "anna"),
    ("shadow", "--since", "7d"),
    ("dead-letters", "list"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
async def test_each_command_says_in_one_line_that_it_does_not_trust_the_server(
    server: SecuredPostgres, stack: Stack, tmp_path: Path, command: tuple[str, ...]
):
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "other")
    address = as_user(server.address, WORKER, SECRET)
    road = Road(stack, address, "", None, settings={f"{PREFIX}CA_FILE": str(other.file)})  # type: ignore[arg-type]

    code, out, err = await road.command(*command)

    last = err.strip().splitlines()[-1]
    assert (code, out) == (3, "")
    assert last.startswith("relationship-worker: PostgreSQL at 127.0.0.1 is not trusted: its certificate is signed by")
    assert "geheim" not in err
    assert "Traceback" not in err
