"""The published access list is what the table of rights says."""

import subprocess
from itertools import pairwise
from pathlib import Path

from typer.testing import CliRunner

from relationship_worker.cli import app
from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.rights import Role, rights

FILE = Path(__file__).parents[2] / "deploy" / "kafka-acls.sh"


def test_the_published_list_is_what_the_command_prints():
    assert FILE.read_text() == CliRunner().invoke(app, ["kafka-acls"]).stdout


def test_the_script_hands_each_right_to_kafkas_tool(tmp_path: Path):
    """A shell runs it, with a tool that writes down what it is given."""
    given = tmp_path / "given"
    settings = {"RUN": "User:CN=worker run", "PATH": "/usr/bin:/bin"}
    tool = tmp_path / "tool.sh"
    tool.write_text(f'printf "%s|" "$@" >>{given}; echo >>{given}\n')

    subprocess.run(["sh", str(FILE)], check=True, env={**settings, "KAFKA_ACLS": f"sh {tool}"})

    calls = [line.rstrip("|").split("|") for line in given.read_text().splitlines()]
    assert all(call[0] == "--add" for call in calls)
    of_run = [call for call in calls if call[2] == "User:CN=worker run"]
    kafka = Connection(bootstrap_servers="", group="relationship-worker")
    for right in rights(Role.RUN, kafka):
        fits = [call for call in of_run if call[4] == right.operation and _names(call, right.kind, right.name)]
        assert [("prefixed" in call) for call in fits] == [right.prefixed], right


def _names(call: list[str], kind: str, name: str) -> bool:
    return (f"--{kind}", name) in pairwise(call)
