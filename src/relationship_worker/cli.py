"""The command line: `relationship-worker COMMAND`."""

import asyncio
import json
import sys
from collections.abc import Coroutine
from importlib.metadata import version
from typing import Annotated, Any, NoReturn

import typer

from relationship_worker.settings import InvalidSetting, Settings, environment_name, read_settings

USAGE = 2  # exit code: a setting or an argument makes no sense
MISSING = 3  # exit code: Kafka, PostgreSQL, the schema or a topic is missing

app = typer.Typer(
    help="Keeps supplier-customer relationships and puts the right customer number onto every order.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Json = Annotated[bool, typer.Option("--json", help="For machines.")]


def main() -> None:
    """The entry point of the command."""
    app()


@app.callback(invoke_without_command=True)
def _version(
    show: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
) -> None:
    if show:
        typer.echo(version("relationship-worker"))
        raise typer.Exit


@app.command()
def init() -> None:
    """Make the database's schema and the topics. Repeatable: what is there is named where it differs, and left alone."""
    from relationship_worker import app as worker

    report = _complete(worker.init(_settings()))
    for topic in report.made:
        typer.echo(f"made the topic {topic}")
    for sentence in report.differ:
        typer.echo(f"differs: {sentence}", err=True)
    typer.echo("schema and topics are there")


@app.command()
def run(
    only: Annotated[str | None, typer.Option(help="One road alone: orders, relationships or reminders.")] = None,
) -> None:
    """Run the worker until SIGTERM: it finishes what is in hand, commits, and exits 0 within 10 seconds."""
    from relationship_worker import app as worker
    from relationship_worker.logs import set_up_logs

    if only is not None and only not in list(worker.Only):
        _fail(f"--only takes {', '.join(worker.Only)}, not {only}", USAGE)
    settings = _settings()
    set_up_logs()
    _complete(worker.run(settings, worker.Only(only) if only else None))


@app.command()
def settings(as_json: Json = False) -> None:
    """List the settings with value, default, unit and meaning; secrets are hidden."""
    now = _settings()
    listed = [
        {
            "name": environment_name(name),
            "value": _shown(getattr(now, name)),
            "default": _shown(field.default),
            "meaning": field.description,
        }
        for name, field in Settings.model_fields.items()
    ]
    if as_json:
        typer.echo(json.dumps(listed, indent=2))
        return
    for row in listed:
        typer.echo(f"{row['name']}={row['value']}\n    {row['meaning']} (default: {row['default']})")


@app.command()
def local() -> None:
    """A real Kafka and a real PostgreSQL on loopback, until interrupted; prints the settings to export."""
    from relationship_worker.local import command

    command.local()


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack and the worker up until Ctrl-C.")] = False,
) -> None:
    """Real input through a real Kafka, a real PostgreSQL and a worker of its own; shows what came out, and ends."""
    from relationship_worker.local.demo import demo as play_demo

    play_demo(keep=keep)


def _settings() -> Settings:
    try:
        return read_settings()
    except InvalidSetting as why:
        _fail(str(why), USAGE)


def _shown(value: object) -> str:
    return "" if value is None else str(value)


def _complete(work: Coroutine[Any, Any, Any]) -> Any:
    from relationship_worker.app import CannotStart

    try:
        return asyncio.run(work)
    except CannotStart as why:
        _fail(str(why), MISSING)
    except (asyncio.CancelledError, KeyboardInterrupt):
        return None


def _fail(line: str, code: int) -> NoReturn:
    print(f"relationship-worker: {line}", file=sys.stderr)
    raise typer.Exit(code)
