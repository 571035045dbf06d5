"""What `relationship-worker settings` and `--version` print."""

import json

import pytest
from typer.testing import CliRunner

from relationship_worker import cli


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_every_setting_is_listed_with_value_default_and_meaning(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RELATIONSHIP_WORKER_FRESHNESS_SECONDS", "0.5")

    listed = {row["name"]: row for row in json.loads(printed("settings", "--json"))}

    freshness = listed["RELATIONSHIP_WORKER_FRESHNESS_SECONDS"]
    assert (freshness["value"], freshness["default"]) == ("0.5", "2.0")
    assert freshness["meaning"].startswith("seconds that orders wait")
    assert {"KAFKA_BOOTSTRAP_SERVERS", "RELATIONSHIP_WORKER_GROUP", "RELATIONSHIP_WORKER_TOPIC_PREFIX"} <= set(listed)


def test_the_password_of_the_database_is_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://worker:hunter2@db/relationships")

    assert "hunter2" not in printed("settings") + printed("settings", "--json")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://worker:hunter2@db/x"),
        ("RELATIONSHIP_WORKER_PARKED_HOURS", "0"),
        ("RELATIONSHIP_WORKER_TOPIC_PREFIX", "a b"),
        ("RELATIONSHIP_WORKER_PARTITIONS", "many"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    monkeypatch.setenv(name, value)

    result = CliRunner().invoke(cli.app, ["settings"])

    assert result.exit_code == cli.USAGE
    assert name in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert "hunter2" not in result.stderr


def test_ids_may_not_be_forgotten_while_a_decision_is_parked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RELATIONSHIP_WORKER_INBOX_DAYS", "1")
    monkeypatch.setenv("RELATIONSHIP_WORKER_PARKED_HOURS", "25")

    result = CliRunner().invoke(cli.app, ["settings"])

    assert result.exit_code == cli.USAGE
    assert "RELATIONSHIP_WORKER_INBOX_DAYS=1 is less than RELATIONSHIP_WORKER_PARKED_HOURS=25" in result.stderr


def test_the_version_is_shown():
    assert printed("--version").strip() == "0.1.0"
