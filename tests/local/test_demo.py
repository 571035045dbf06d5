import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from relationship_worker.local.demo_story import DATA
from relationship_worker.local.stack import KAFKA_VARIABLE, POSTGRES_VARIABLE, Stack

COMMAND = (sys.executable, "-m", "relationship_worker", "demo")
SECONDS = 240  # on a busy machine; some twenty on a quiet one
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What the demo printed, and what it left in its temporary folder."""

    code: int
    lines: list[str]
    errors: str
    left: list[Path]

    def below(self, heading: str) -> list[list[str]]:
        """The words of each line below a heading, down to the next empty line."""
        start = next(number for number, line in enumerate(self.lines) if line.startswith(heading))
        end = self.lines.index("", start)
        return [line.split() for line in self.lines[start + 1 : end]]


def run_demo(temporary: str, **environment: str) -> Ran:
    """The command as a process, on a screen of 80 columns."""
    mine = {name: value for name, value in os.environ.items() if name not in (KAFKA_VARIABLE, POSTGRES_VARIABLE)}
    done = subprocess.run(
        COMMAND,
        env={**mine, "COLUMNS": "80", "TMPDIR": temporary, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )
    lines = [line.rstrip() for line in done.stdout.split("\n")]
    return Ran(code=done.returncode, lines=lines, errors=done.stderr, left=list(Path(temporary).iterdir()))


@pytest.fixture
def temporary() -> Iterator[str]:
    """A folder with a short name that PostgreSQL's own user may enter, too."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield name


@pytest.fixture(scope="module")
def demo() -> Iterator[Ran]:
    """One run for all that is said of it, on servers of its own: the README's first command."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield run_demo(name)


def test_it_ends_by_itself_with_0_and_every_count_as_it_must_be(demo: Ran):
    counts = demo.below("Held against what was sent")

    assert (demo.code, demo.errors) == (0, "")
    assert [count[0] for count in counts] == ["ok"] * 12


def test_it_fits_a_screen_of_80_columns(demo: Ran):
    assert [line for line in demo.lines if len(line) > 80] == []


def test_orders_carry_the_number_of_their_own_time(demo: Ran):
    rows = [words for words in demo.below("Some of the orders") if words[0] != "·"]
    shown = {(words[1], *words[3:]) for words in rows if len(words) > 5}

    assert {
        ("14911", "007100", "partner", "1"),
        ("14911", "IE-7100", "partner", "1"),
        ("12748", "00042", "partner", "1"),
        ("15311", "A-000311", "partner", "1"),
        ("12971", "DE0815", "partner", "1"),
        ("12971", "0099000", "default", "5", "not_a_partner"),
        ("17389", "null", "none", "4", "partner_without_number"),
        ("walk-in", "null", "none", "7", "default_missing"),
    } <= shown


def test_a_default_that_is_named_late_is_shown_on_the_orders_that_it_corrects(demo: Ran):
    start = next(number for number, line in enumerate(demo.lines) if "corrections, from enriched-orders" in line)
    shown = [line.split() for line in demo.lines[start + 2 : start + 6]]

    assert [(words[4], words[5]) for words in shown] == [("null", "S-990")] * 4


def test_a_desk_asks_and_is_told(demo: Ran):
    why = demo.below("Why does this order carry that number?")
    listed = demo.below("What is to be decided?")

    assert why[0][:3] == ["$", "relationship-worker", "explain"]
    assert listed[0][:3] == ["$", "relationship-worker", "relationships"]
    assert listed[1][0] == "customer"
    assert any("corrected" in line for line in demo.lines)


def test_an_order_right_behind_a_change_of_number_carries_the_new_one_or_says_that_it_could_not_wait(demo: Ran):
    text = "".join(demo.lines)

    assert '{"customer_number":{"number":"K 42/b","source":"partner"' in text or "decisions_not_caught_up" in text


def test_relationships_are_told_with_state_number_and_version(demo: Ran):
    rows = [" ".join(words) for words in demo.below("The relationships")]

    assert "north 12748 Südzucker AG partner K 42/b 3" in rows
    assert "north 12971 Österreichische Post AG ended 3" in rows
    assert "north 14606 Jenoptik AG rejected 2" in rows
    assert "south 17949 Van Lanschot Kempen N.V. partner 0007 2" in rows


def test_refused_decisions_reminders_and_dead_letters_are_shown_with_their_reasons(demo: Ran):
    refused = {words[-1] for words in demo.below("Decisions that were refused")[1:]}
    reminded = {words[0]: words[6] for words in demo.below("Reminders") if "/" in words[0]}
    letters = {words[0]: words[1] for words in demo.below("Dead letters") if len(words) == 4}

    assert refused == {"already_partner", "not_a_partner", "invalid_customer_number", "stale"}
    assert reminded == {"north/14527": "no", "north/16422": "yes"}
    expected = {"invalid_data": "relationship-decisions", "invalid_json": "orders", "conflicting_event_id": "orders"}
    assert expected.items() <= letters.items()


def test_it_leaves_nothing_but_the_workers_log(demo: Ran):
    (left,) = demo.left

    assert f"    its log: {left}/log" in demo.lines


async def test_on_servers_of_the_environment_it_leaves_nothing_and_a_failure_is_one_line(stack: Stack, temporary: str):
    environment = {**stack.environment, "RELATIONSHIP_WORKER_PARTITIONS": "four"}
    before = await names_on(stack)

    ran = await asyncio.to_thread(run_demo, temporary, **environment)

    assert ran.code == 1
    assert ran.errors.startswith("relationship-worker: the demo failed: init ended with exit code 2: ")
    assert ran.errors.count("\n") == 1
    assert not [name for name in await names_on(stack) - before if name.startswith("demo_")]


async def names_on(stack: Stack) -> set[str]:
    """Of databases and topics."""
    connection = await asyncpg.connect(stack.database_url)
    databases = [row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")]
    await connection.close()
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap_servers)
    await admin.start()
    topics = await admin.list_topics()
    await admin.close()
    return {*databases, *topics}


def test_all_that_is_carried_is_small_and_named_in_the_notice():
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    folder = Path(str(DATA))
    carried = [file for file in folder.rglob("*") if file.is_file() and file.name != ".gitattributes"]

    assert sum(file.stat().st_size for file in carried) < 400_000
    assert [str(file.relative_to(folder)) for file in carried if str(file.relative_to(folder)) not in notice] == []
