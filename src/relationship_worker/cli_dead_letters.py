"""The commands about dead letters: `relationship-worker dead-letters COMMAND`."""

import asyncio
import getpass
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relationship_worker.command_line import (
    MISSING,
    NOT_THERE,
    USAGE,
    Insecure,
    database_of,
    fail,
    kafka_failed,
    kafka_of,
    settings_now,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from relationship_worker.kafka.connection import Connection
    from relationship_worker.messages.dead_letters import Place
    from relationship_worker.roads.acting import Person
    from relationship_worker.views.dead_letters import Asked

WHICH = "which? Name dead letters, or say --topic, --reason, --supplier, or --all"
app = typer.Typer(help="What was set aside: find it, correct it, replay it or give it up.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="For machines.")]
Topic = Annotated[str | None, typer.Option(help="Only what came from this topic.")]
ReasonOf = Annotated[str | None, typer.Option(help="Only what was set aside for this reason.")]
Supplier = Annotated[str | None, typer.Option(help="Only what seems to be this supplier's.")]
By = Annotated[str | None, typer.Option(help="Who does it; the user of this machine if absent.")]
Id = Annotated[str, typer.Argument(help="TOPIC:PARTITION:OFFSET, as `dead-letters list` shows it.")]
Ids = Annotated[list[str] | None, typer.Argument(help="TOPIC:PARTITION:OFFSET, as `dead-letters list` shows it.")]


@app.command("list")
def list_(
    topic: Topic = None,
    reason: ReasonOf = None,
    supplier: Supplier = None,
    finished_too: Annotated[bool, typer.Option("--all", help="Also those that were replayed or discarded.")] = False,
    limit: Annotated[str, typer.Option(help="Dead letters of a page, 1 to 1000.")] = "100",
    after: Annotated[str | None, typer.Option(help="The cursor that the page before gave.")] = None,
    as_json: Json = False,
    insecure: Insecure = False,
) -> None:
    """Dead letters that nobody has dealt with yet, the longest set aside first: why, since when, what they hold back."""
    from relationship_worker.roads import replaying
    from relationship_worker.storage import stopped_partitions
    from relationship_worker.views import dead_letter_pages, dead_letters
    from relationship_worker.views.reading import reading

    try:
        which = dead_letters.asked(topic=topic, reason=reason, supplier_id=supplier, finished_too=finished_too)
        size = dead_letters.read_limit(limit)
        behind = dead_letters.read_cursor(which, after) if after is not None else None
    except dead_letters.BadQuestion as why:
        fail(str(why), USAGE)

    async def shown(kafka: "Connection", database: "AsyncEngine") -> None:
        found = await dead_letters.page(kafka, database, which, limit=size, behind=behind, progress=_progress("read"))
        async with reading(database) as tx:
            stopped = await stopped_partitions.stopped(tx)
        dead_letter_pages.show_list(found, unsent=await replaying.unsent(database), stopped=stopped, as_json=as_json)

    _do(shown, insecure=insecure)


@app.command()
def show(
    id_: Id,
    reveal: Annotated[bool, typer.Option("--reveal", help="Unmasked: personal data is shown.")] = False,
    as_json: Json = False,
    insecure: Insecure = False,
) -> None:
    """One dead letter: headers and value, what it holds back, and what was done about it."""
    from relationship_worker.views import dead_letter_pages, dead_letters

    places = _places([id_])

    async def shown(kafka: "Connection", database: "AsyncEngine") -> None:
        [case] = await dead_letters.find_all(kafka, database, places, _progress("read"))
        dead_letter_pages.show_case(case, reveal=reveal, as_json=as_json)

    _do(shown, insecure=insecure)


@app.command()
def edit(
    id_: Id,
    why: Annotated[str, typer.Option(help="Why; it is recorded.")],
    value: Annotated[Path | None, typer.Option(help="A file with the value as it ought to be.")] = None,
    headers: Annotated[
        Path | None, typer.Option(help='A file with headers to be set: {"NAME": "text"}; null takes one away.')
    ] = None,
    by: By = None,
    as_json: Json = False,
    insecure: Insecure = False,
) -> None:
    """Correct what a replay will send. The dead letter itself stays as it came; who and why are recorded."""
    from relationship_worker.roads import acting, trying
    from relationship_worker.views import dead_letter_outcomes, dead_letters

    new_value = _read(value, "--value") if value is not None else None
    new_headers = _read_headers(_read(headers, "--headers")) if headers is not None else None
    if new_value is None and new_headers is None:
        fail("edit takes --value FILE, --headers FILE or both", USAGE)

    places = _places([id_])

    async def done(kafka: "Connection", database: "AsyncEngine") -> None:
        [case] = await dead_letters.find_all(kafka, database, places, _progress("read"))
        edited = await acting.edit(database, case, _person(by, why), value=new_value, headers=new_headers)
        would = await trying.would_make(kafka, database, edited)
        dead_letter_outcomes.show_edited(edited, would, as_json=as_json)

    _do(done, insecure=insecure)


@app.command()
def discard(
    why: Annotated[str, typer.Option(help="Why; it is recorded.")],
    ids: Ids = None,
    topic: Topic = None,
    reason: ReasonOf = None,
    supplier: Supplier = None,
    every: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    by: By = None,
    as_json: Json = False,
    insecure: Insecure = False,
) -> None:
    """Give dead letters up; what they hold back goes on. Who and why are recorded."""
    from relationship_worker.roads import acting
    from relationship_worker.views import dead_letter_outcomes, dead_letters

    which = _selection(ids, topic, reason, supplier, every=every)

    async def done(kafka: "Connection", database: "AsyncEngine") -> None:
        person, gone = _person(by, why), []
        if which.places is not None:
            found = await dead_letters.find_all(kafka, database, list(which.places), _progress("read"))
            gone += await acting.discard(database, found, person)
        else:
            async for some in dead_letters.find(kafka, database, which, progress=_progress("discarded")):
                gone += await acting.discard(database, [case for case in some if case.is_open], person)
        dead_letter_outcomes.show_discarded(gone, as_json=as_json)

    _do(done, insecure=insecure)


@app.command()
def replay(
    ids: Ids = None,
    topic: Topic = None,
    reason: ReasonOf = None,
    supplier: Supplier = None,
    every: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would make.")] = False,
    canary: Annotated[
        int, typer.Option(min=0, help="So many first; the rest only once these went through.", show_default=False)
    ] = 0,
    why: Annotated[str | None, typer.Option(help="Why; it is recorded.")] = None,
    by: By = None,
    unsent: Annotated[
        str | None, typer.Option(help="Replays of which nobody knows whether they were sent: send or forget them.")
    ] = None,
    as_json: Json = False,
    insecure: Insecure = False,
) -> None:
    """Send dead letters back to where they came from, in order, each once; called again it goes on where it was ended."""
    from relationship_worker.cli_replay import Replay, tried
    from relationship_worker.roads import replaying, trying
    from relationship_worker.views import dead_letter_outcomes, dead_letters

    if unsent not in (None, "send", "forget"):
        fail(f"--unsent takes send or forget, not {unsent}", USAGE)
    selected = bool(ids or topic or reason or supplier or every)
    which = _selection(ids, topic, reason, supplier, every=every) if selected else None

    async def done(kafka: "Connection", database: "AsyncEngine") -> None:
        if which is None and (dry_run or not await replaying.unsent(database)):
            fail(WHICH, USAGE)
        named = []
        if which is not None and which.places is not None:
            named = await dead_letters.find_all(kafka, database, list(which.places), _progress("read"))
        if dry_run and which is not None:
            would = [one async for one in tried(kafka, database, which, _progress("tried"))]
            dead_letter_outcomes.show_dry_run(would, as_json=as_json)
            if any(one["outcome"] in trying.FAILS for _, one in would):
                raise typer.Exit(NOT_THERE)
            return
        run = Replay(kafka=kafka, database=database, person=_person(by, why), progress=_progress("replayed"))
        outcome = await run.run(which, canary=canary, unsent=unsent)
        outcome.dealt_with = [case.place for case in named if not case.is_open]
        dead_letter_outcomes.show_replayed(outcome, as_json=as_json)
        if not outcome.all_through:
            raise typer.Exit(NOT_THERE)

    _do(done, insecure=insecure, replays=True)


@app.command("go-on")
def go_on(
    partition: Annotated[str, typer.Argument(help="TOPIC:PARTITION, as `dead-letters list` shows it.")],
    as_json: Json = False,
    insecure: Insecure = False,
) -> None:
    """Let a partition go on that stands still because most of what it brought was bad; within 30 seconds it does."""
    from relationship_worker.messages.dead_letters import read_place
    from relationship_worker.storage import stopped_partitions
    from relationship_worker.storage.database import transaction
    from relationship_worker.views import dead_letter_outcomes
    from relationship_worker.views.reading import NotThere

    place = read_place(f"{partition}:0")
    if place is None:
        fail(f"a partition is named TOPIC:PARTITION, not {partition}", USAGE)

    async def done(_: "Connection", database: "AsyncEngine") -> None:
        async with transaction(database) as tx:
            if not await stopped_partitions.go_on(tx, place.topic, place.partition):
                raise NotThere(f"the partition {partition} does not stand still")
        dead_letter_outcomes.show_going_on(partition, as_json=as_json)

    _do(done, insecure=insecure)


def _selection(
    ids: list[str] | None, topic: str | None, reason: str | None, supplier: str | None, *, every: bool
) -> "Asked":
    """These letters, or all open ones that fit; never all without being told so."""
    from relationship_worker.views import dead_letters

    if ids and (topic or reason or supplier or every):
        fail("name dead letters, or say which by --topic, --reason, --supplier or --all: not both", USAGE)
    if ids:
        return dead_letters.Asked(places=_places(ids))
    if not (topic or reason or supplier or every):
        fail(WHICH, USAGE)
    try:
        return dead_letters.asked(topic=topic, reason=reason, supplier_id=supplier)
    except dead_letters.BadQuestion as why:
        fail(str(why), USAGE)


def _places(ids: list[str]) -> "list[Place]":
    from relationship_worker.messages.dead_letters import read_place

    places = []
    for text in ids:
        place = read_place(text)
        if place is None:
            fail(f"a dead letter is named TOPIC:PARTITION:OFFSET, not {text}", USAGE)
        places.append(place)
    return places


def _person(by: str | None, why: str | None) -> "Person":
    from relationship_worker.roads.acting import Person

    return Person(by=by or getpass.getuser(), why=why)


def _read(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as why:
        fail(f"{option} can't be read: {why.strerror or why}", USAGE)


def _read_headers(text: bytes) -> dict[str, str | None]:
    try:
        found = json.loads(text)
    except ValueError:
        fail("--headers is no JSON", USAGE)
    if not isinstance(found, dict) or not all(v is None or isinstance(v, str) for v in found.values()):
        fail('--headers takes {"NAME": "text"}, with null for one that is to go', USAGE)
    return found


def _progress(done: str, every: float = 2.0) -> Callable[[int, int], None]:
    """On standard error, where it takes a while."""
    last = monotonic()

    def say(some: int, total: int) -> None:
        nonlocal last
        if monotonic() - last >= every:
            last = monotonic()
            print(f"{done} {some:,} of {total:,} …", file=sys.stderr)

    return say


def _do(
    work: "Callable[[Connection, AsyncEngine], Coroutine[Any, Any, None]]", *, insecure: bool, replays: bool = False
) -> None:
    """Do it; or say in one line why not."""
    from aiokafka.errors import KafkaError

    from relationship_worker.kafka.refusals import is_refusal
    from relationship_worker.kafka.rights import Role
    from relationship_worker.kafka.topics import TopicsMissing
    from relationship_worker.kafka.transactions import Doubt
    from relationship_worker.roads.acting import CannotAct
    from relationship_worker.storage.database import ConnectionLost
    from relationship_worker.views.reading import CannotRead, NotThere, missing, reading

    now = settings_now(insecure=insecure)
    kafka = kafka_of(now)
    role = Role.REPLAY if replays else Role.DESK

    database = database_of(now, connections=2)

    async def done() -> None:
        try:
            async with reading(database):
                pass  # a database that is away, or a schema of another version, is said at once
            await work(kafka, database)
        finally:
            await database.dispose()

    try:
        asyncio.run(done())
    except (NotThere, CannotAct) as why:
        fail(str(why), NOT_THERE)
    except (CannotRead, TopicsMissing) as why:
        fail(str(why), MISSING)
    except Doubt as why:
        if is_refusal(why):
            kafka_failed(kafka, role, why)
        fail(f"{why}: call it again, it goes on where it was ended", MISSING)
    except KafkaError as why:
        kafka_failed(kafka, role, why)
    except ConnectionLost as why:
        fail(f"{missing(why, database)} Call it again: it goes on where it was ended", MISSING)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
