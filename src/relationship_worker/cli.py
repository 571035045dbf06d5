"""The command line: `relationship-worker COMMAND`."""

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relationship_worker import cli_dead_letters
from relationship_worker.command_line import MISSING, NOT_THERE, USAGE, Insecure, database_of, kafka_failed
from relationship_worker.command_line import fail as _fail
from relationship_worker.command_line import kafka_of as _kafka
from relationship_worker.command_line import settings_now as _settings
from relationship_worker.settings import InvalidSetting, Settings, environment_name

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from relationship_worker.views.shadow import Report

DIFFERENT = 1  # exit code: a shadow run has found orders that would be told another number

app = typer.Typer(
    help="Keeps supplier-customer relationships and puts the right customer number onto every order.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cli_dead_letters.app, name="dead-letters")
Json = Annotated[bool, typer.Option("--json", help="For machines.")]
Supplier = Annotated[str, typer.Option(help="The supplier's id.")]


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
def init(insecure: Insecure = False) -> None:
    """Make the database's schema and the topics. Repeatable: what is there is named where it differs, and left alone."""
    from relationship_worker import app as worker

    done = _complete(worker.init(_settings(insecure=insecure)))
    if done is None:
        raise typer.Exit(130)
    report, roles = done
    for topic in report.made:
        typer.echo(f"made the topic {topic}")
    for sentence in report.differ:
        typer.echo(f"differs: {sentence}", err=True)
    if roles:
        typer.echo(f"rights are given to {', '.join(roles)}")
    typer.echo("schema and topics are there")


@app.command()
def run(
    only: Annotated[str | None, typer.Option(help="One road alone: orders, relationships or reminders.")] = None,
    insecure: Insecure = False,
) -> None:
    """Run the worker until SIGTERM: it finishes what is in hand, commits, and exits 0 within 10 seconds."""
    from relationship_worker import app as worker
    from relationship_worker.logs import set_up_logs

    if only is not None and only not in list(worker.Only):
        _fail(f"--only takes {', '.join(worker.Only)}, not {only}", USAGE)
    settings = _settings(insecure=insecure)
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
def explain(
    order: Annotated[str, typer.Argument(help="The order's id.")],
    supplier: Supplier,
    where: Annotated[
        bool, typer.Option(help="Look in Kafka, for a second at the most, at which offset the answer lies.")
    ] = True,
    as_json: Json = False,
    insecure: Insecure = False,
) -> None:
    """Why an order carries its number: the answer as told, where and when, the facts behind it, corrections, today."""
    from relationship_worker.views import explain_page

    _show(
        lambda now, database: explain_page.show(database, _kafka(now), supplier, order, where=where, as_json=as_json),
        supplier,
        order,
        insecure=insecure,
    )


@app.command()
def relationships(
    supplier: Supplier,
    state: Annotated[
        str | None, typer.Option(help="One state alone: requested, deferred, partner, rejected, ended, withdrawn.")
    ] = None,
    limit: Annotated[str, typer.Option(help="Relationships of a page, 1 to 1000.")] = "100",
    after: Annotated[str | None, typer.Option(help="The cursor that the page before gave.")] = None,
    as_json: Json = False,
    insecure: Insecure = False,
) -> None:
    """A supplier's relationships: overdue first, then what is open, the oldest first, then the rest by state."""
    from relationship_worker.views import overview

    try:
        asked = overview.question(supplier, state=state, limit=limit, after=after)
    except overview.BadQuestion as why:
        _fail(str(why), USAGE)
    _show(lambda _, database: overview.show(database, asked, as_json=as_json), supplier, insecure=insecure)


@app.command()
def relationship(
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    supplier: Supplier,
    as_json: Json = False,
    insecure: Insecure = False,
) -> None:
    """One relationship: profile, assortment, number, resubmission date, history with who and why, refused inputs."""
    from relationship_worker.views import relationship as one

    _show(
        lambda _, database: one.show(database, supplier, customer, as_json=as_json),
        supplier,
        customer,
        insecure=insecure,
    )


@app.command()
def shadow(
    since: Annotated[
        str, typer.Option(help="From when on: RFC 3339 with an offset, or back from now as 7d, 12h, 30m.")
    ],
    until: Annotated[str | None, typer.Option(help="Up to when, in the same form; the end if absent.")] = None,
    settings: Annotated[
        str | None, typer.Option(help='A file of settings to try: {"SUPPLIER": {as in supplier.settings.changed}}.')
    ] = None,
    supplier: Annotated[str | None, typer.Option(help="The orders of one supplier alone.")] = None,
    as_json: Json = False,
    insecure: Insecure = False,
) -> None:
    """Orders of a time span once more, by today's facts or by changed settings: what would differ. Publishes nothing."""
    from aiokafka.errors import KafkaError

    from relationship_worker.kafka.rights import Role
    from relationship_worker.kafka.time_span import Span
    from relationship_worker.kafka.topics import TopicsMissing
    from relationship_worker.views import shadow_page
    from relationship_worker.views.reading import CannotRead
    from relationship_worker.views.shadow import BadSettings, read_overlays
    from relationship_worker.views.shadow import run as run_shadow

    span = Span(since=_time("--since", since), until=_time("--until", until) if until else None)
    now = _settings(insecure=insecure)
    kafka = _kafka(now)
    progress = shadow_page.ProgressLine()

    async def found() -> "Report":
        database = database_of(now, connections=1)
        try:
            return await run_shadow(kafka, database, span, overlays=overlays, supplier_id=supplier, progress=progress)
        finally:
            await database.dispose()

    try:
        text = Path(settings).read_bytes() if settings else b"{}"
    except OSError as why:
        _fail(f"--settings can't be read: {why.strerror or why}", USAGE)
    try:
        overlays = read_overlays(text)
        try:
            report = asyncio.run(found())
        finally:
            progress.end()
    except BadSettings as why:
        _fail(f"--settings {settings}: {why}", USAGE)
    except (CannotRead, TopicsMissing) as why:
        _fail(str(why), MISSING)
    except KafkaError as why:
        kafka_failed(kafka, Role.DESK, why)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    shadow_page.show(report, as_json=as_json)
    if report.differ:
        raise typer.Exit(DIFFERENT)


_AGO = re.compile(r"([1-9]\d{0,3})([dhm])", re.ASCII)
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def _time(option: str, text: str) -> datetime:
    from relationship_worker.messages.times import InvalidTime, read_time

    ago = _AGO.fullmatch(text)
    if ago:
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        return read_time(text)
    except InvalidTime as why:
        _fail(f"{option} {text} {why}; back from now it takes 7d, 12h or 30m", USAGE)


@app.command("kafka-acls")
def kafka_acls() -> None:
    """Print what gives each user of the worker its rights at Kafka, as commands for Kafka's own tool."""
    from relationship_worker.kafka.connection import Connection
    from relationship_worker.views.kafka_acls import script

    now = _settings()
    typer.echo(script(Connection(bootstrap_servers="", group=now.group, prefix=now.topic_prefix)), nl=False)


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


def _shown(value: object) -> str:
    return "" if value is None else str(value)


def _complete(work: Coroutine[Any, Any, Any]) -> Any:
    from relationship_worker.app import CannotStart

    try:
        return asyncio.run(work)
    except InvalidSetting as why:
        _fail(str(why), USAGE)
    except CannotStart as why:
        _fail(str(why), MISSING)
    except (asyncio.CancelledError, KeyboardInterrupt):
        return None


def _show(view: "Callable[[Settings, AsyncEngine], Coroutine[Any, Any, None]]", *ids: str, insecure: bool) -> None:
    """Print a view of what is stored; or say in one line why not, and print nothing."""
    from relationship_worker.views.reading import CannotRead, NotThere

    async def shown() -> None:
        database = database_of(now, connections=1)
        try:
            await view(now, database)
        finally:
            await database.dispose()

    now = _settings(insecure=insecure)
    if any(0xD800 <= ord(c) < 0xE000 for text in ids for c in text):
        _fail("nothing is stored under an id that is not UTF-8", NOT_THERE)
    try:
        asyncio.run(shown())
    except NotThere as why:
        _fail(str(why), NOT_THERE)
    except CannotRead as why:
        _fail(str(why), MISSING)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
