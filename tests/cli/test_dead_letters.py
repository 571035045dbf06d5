"""What the commands about dead letters say to arguments that make no sense, before they ask anybody."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from relationship_worker import cli

NOWHERE = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
LETTER = "orders:0:0"


def said(*arguments: str) -> tuple[int, str]:
    """Exit code and the one line on standard error."""
    result = CliRunner(env=NOWHERE).invoke(cli.app, ["dead-letters", *arguments])
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("list", "--topic", "letters"),
            "--topic takes connection-requests, relationship-decisions, orders, not letters",
        ),
        (("list", "--reason", "none"), "--reason takes empty_value,"),
        (("list", "--limit", "0"), "--limit takes a whole number from 1 to 1000, not 0"),
        (("list", "--after", "nonsense"), "--after takes the cursor"),
        (("show", "one"), "a dead letter is named TOPIC:PARTITION:OFFSET, not one"),
        (("replay", LETTER, "--all"), "not both"),
        (("replay", LETTER, "--unsent", "maybe"), "--unsent takes send or forget, not maybe"),
        (("discard", "--why", "x"), "which?"),
        (("discard", "--why", "x", "--topic", "letters"), "--topic takes"),
        (("edit", LETTER, "--why", "x"), "--value FILE, --headers FILE or both"),
        (("edit", LETTER, "--why", "x", "--value", "/nowhere"), "--value can't be read"),
        (("go-on", "orders"), "a partition is named TOPIC:PARTITION, not orders"),
    ],
)
def test_an_argument_that_makes_no_sense_is_named_in_one_line(arguments: tuple[str, ...], says: str):
    code, line = said(*arguments)

    assert code == cli.USAGE
    assert says in line


@pytest.mark.parametrize("headers", ["{", "[]", '{"ce_id": 7}'])
def test_headers_are_texts_by_name(tmp_path: Path, headers: str):
    (tmp_path / "headers.json").write_text(headers)

    code, line = said("edit", LETTER, "--why", "x", "--headers", str(tmp_path / "headers.json"))

    assert code == cli.USAGE
    assert "--headers" in line


def test_a_database_that_is_away_is_said_in_one_line():
    code, line = said("list")

    assert code == cli.MISSING
    assert "PostgreSQL at 127.0.0.1:1 can't be reached" in line
