"""Show what is to be said about an order: `explain`, for a person and for machines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.domain.customer_numbers import Source
from relationship_worker.kafka.connection import Connection
from relationship_worker.messages.orders import Answer, read_answer
from relationship_worker.messages.outgoing import ENRICHED_ORDERS, ORDERS, output_id
from relationship_worker.storage.corrections import Made
from relationship_worker.views.explain import (
    Explained,
    Today,
    UsedFacts,
    explain,
    is_reproduced,
    knew_change,
    not_fired,
    today,
    used_facts,
)
from relationship_worker.views.relationship import version_as_json, version_lines
from relationship_worker.views.screen import Page, print_json, raw, when

LOOK_SECONDS = 1.0  # for the look into Kafka; what is stored has been read by then
NOT_LOOKED = "not looked for (--where)"
NOT_FOUND = f"no longer there, or not found within {LOOK_SECONDS:g} s"
AWAY = "Kafka can't be reached"
NOT_YET = "not told yet"


async def show(
    database: AsyncEngine, kafka: Connection, supplier_id: str, order_id: str, *, where: bool, as_json: bool
) -> None:
    """Print it. Raises NotThere or CannotRead; a Kafka that is away only leaves gaps."""
    explained = await explain(database, supplier_id, order_id)
    places = await _look(kafka, explained) if where else Places(offsets={}, missing=NOT_LOOKED)
    told = Shown(explained=explained, kafka=kafka, places=places, today=today(explained, datetime.now(UTC)))
    if as_json:
        print_json(told.as_json())
    else:
        page = Page()
        told.write(page)
        page.print()


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where outputs lie, by their ids, and what is to be said of the others."""

    offsets: Mapping[str, int]
    missing: str


async def _look(kafka: Connection, explained: Explained) -> Places:
    from relationship_worker.kafka.told_records import KafkaAway, Sought, offsets  # it brings all of aiokafka

    first = explained.first
    sought = [Sought(id=_enriched_id(first.event_key), partition=first.partition, told_at=first.answered_at)]
    sought += [
        Sought(id=_corrected_id(made), partition=first.partition, told_at=made.decided_at)
        for made in explained.made
        if made.told
    ]
    sought += [
        Sought(id=_enriched_id(again.event_key), partition=again.partition, told_at=again.answered_at)
        for again in explained.repeated
    ]
    try:
        found = await offsets(kafka, kafka.topic(ENRICHED_ORDERS), sought, seconds=LOOK_SECONDS)
    except KafkaAway as why:
        return Places(offsets={}, missing=str(why) or AWAY)
    return Places(offsets=found, missing=NOT_FOUND)


def _enriched_id(event_key: bytes) -> str:
    return output_id(event_key, "enriched")


def _corrected_id(made: Made) -> str:
    return output_id(made.event_key, f"corrected-{made.order_event.hex()}")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Everything about one order, ready to be shown either way."""

    explained: Explained
    kafka: Connection
    places: Places
    today: Today

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        e = self.explained
        answer = read_answer(e.first.answer)
        used = used_facts(e, answer, knew_change=e.first.knew_change)
        return {
            "supplier_id": e.supplier_id,
            "order_id": e.order_id,
            "customer_id": e.first.customer_id,
            "channel": e.first.channel,
            "created_at": e.first.created_at,
            "answer": raw(e.first.answer),
            "answered_at": e.first.answered_at,
            "input": self._input(e.first.partition, e.first.offset),
            "output": self._output(_enriched_id(e.first.event_key), e.first.partition),
            "facts": _facts_as_json(used),
            "reproduced": is_reproduced(e, answer, used),
            "rules_not_fired": [{"rule": rule, "reason": why} for rule, why in not_fired(e, used).items()],
            "corrections": [raw(made.answer) for made in e.made],
            "correction_causes": [self._cause_as_json(made) for made in e.made],
            "repeated": [
                {
                    "answer": raw(again.answer),
                    "answered_at": again.answered_at,
                    "input": self._input(again.partition, again.offset),
                    "output": self._output(_enriched_id(again.event_key), again.partition),
                }
                for again in e.repeated
            ],
            "today": {
                "answer": raw(self.today.answer),
                "differs": self.today.differs,
                "not_told_because": self.today.not_told_because,
            },
            "new_order": raw(self.today.new_order),
        }

    def _input(self, partition: int, offset: int) -> dict[str, Any]:
        return {"topic": self.kafka.topic(ORDERS), "partition": partition, "offset": offset}

    def _output(self, id_: str, partition: int, missing: str | None = None) -> dict[str, Any]:
        offset = self.places.offsets.get(id_)
        return {
            "topic": self.kafka.topic(ENRICHED_ORDERS),
            "partition": partition,
            "offset": offset,
            "note": None if offset is not None else missing or self.places.missing,
        }

    def _correction_output(self, made: Made) -> dict[str, Any]:
        return self._output(_corrected_id(made), self.explained.first.partition, None if made.told else NOT_YET)

    def _cause_as_json(self, made: Made) -> dict[str, Any]:
        answer = read_answer(made.answer)
        return {
            "event_id": made.event_id,
            "event_source": made.event_source,
            "decided_at": made.decided_at,
            "told": made.told,
            "output": self._correction_output(made),
            "facts": _facts_as_json(used_facts(self.explained, answer, knew_change=knew_change(self.explained, made))),
        }

    def write(self, page: Page) -> None:
        """For a person."""
        e = self.explained
        answer = read_answer(e.first.answer)
        used = used_facts(e, answer, knew_change=e.first.knew_change)
        page.line(f"order {e.order_id} of supplier {e.supplier_id}")
        page.about("customer", e.first.customer_id or "none: a walk-in")
        page.about("created", f"{when(e.first.created_at)}, channel {e.first.channel or 'not named'}")
        page.about("answer", *_answer_lines(answer))
        page.about("told", *self._told_lines(e.first.answered_at, e.first.partition, e.first.offset, e.first.event_key))
        for write in (_write_version, _write_default, _write_switches):
            write(page, used)
        if not is_reproduced(e, answer, used):
            page.about("ATTENTION", "the facts that are stored by now do not give this answer")
        page.line()
        page.line("rules that did not fire")
        for rule, why in not_fired(e, used).items():
            page.about(f"{rule:>9}", why)
        page.line()
        self._write_corrections(page)
        for again in e.repeated:
            lines = self._told_lines(again.answered_at, again.partition, again.offset, again.event_key)
            page.about("told again", _short(read_answer(again.answer)), *lines)
        page.about("today", *self._today_lines())
        page.about("if new", f"an order like it, created now: {_short(read_answer(self.today.new_order))}")

    def _told_lines(self, at: datetime, partition: int, offset: int, event_key: bytes) -> list[str]:
        output = self._output(_enriched_id(event_key), partition)
        return [when(at), f"in  {_place(self._input(partition, offset))}", f"out {_place(output)}"]

    def _write_corrections(self, page: Page) -> None:
        for made in self.explained.made:
            answer = read_answer(made.answer)
            output = self._correction_output(made)
            page.about(
                "corrected", *_answer_lines(answer), f"decided {when(made.decided_at)}", f"out {_place(output)}",
                f"event {made.event_id} of {made.event_source}",
            )  # fmt: skip
            used = used_facts(self.explained, answer, knew_change=knew_change(self.explained, made))
            (_write_version if answer.source == Source.PARTNER else _write_default)(page, used)
        if not self.explained.made:
            page.about("corrected", "never")

    def _today_lines(self) -> Sequence[str]:
        if not self.today.differs:
            return ["the same, by all that is known now"]
        because = self.today.not_told_because
        return [f"another: {_short(read_answer(self.today.answer))}", *([f"not told: {because}"] if because else [])]


def _short(answer: Answer) -> str:
    reason = f", {answer.reason}" if answer.reason else ""
    number = answer.number if answer.number is not None else "no number"
    return f"{number} (rule {answer.rule}, {answer.source}{reason})"


def _answer_lines(answer: Answer) -> list[str]:
    lines = [_short(answer), f"as of {when(datetime.fromisoformat(answer.as_of))}"]
    return [*lines, f"flags: {', '.join(answer.flags)}"] if answer.flags else lines


def _place(place: Mapping[str, Any]) -> str:
    offset = place["offset"]
    where = f"offset {offset}" if offset is not None else f"offset: {place['note']}"
    return f"{place['topic']}, partition {place['partition']}, {where}"


def _write_version(page: Page, used: UsedFacts) -> None:
    if used.version is None:
        page.about("version", "none: the customer had not asked by then")
        return
    what, *more = version_lines(used.version)
    page.about("version", f"{used.version.version}: {what}", *more)


def _write_default(page: Page, used: UsedFacts) -> None:
    default, since = used.settings.default_customer_number, used.default_since
    lines = [default if default is not None else "none"]
    if since is not None:
        lines += [
            f"from {when(since.known.valid_from)}, arrived {when(since.recorded_at)}",
            f"event {since.event_id} of {since.event_source}",
        ]
    page.about("default", *lines)


def _write_switches(page: Page, used: UsedFacts) -> None:
    without, public = used.settings.partner_without_number, used.settings.public_catalogue
    page.about("switches", f"partner_without_number {without}, public_catalogue {public}")


def _facts_as_json(used: UsedFacts) -> dict[str, Any]:
    since = used.default_since
    return {
        "version": version_as_json(used.version) if used.version else None,
        "default": {
            "customer_number": used.settings.default_customer_number,
            "valid_from": since.known.valid_from if since else None,
            "recorded_at": since.recorded_at if since else None,
            "event_id": since.event_id if since else None,
            "event_source": since.event_source if since else None,
        },
        "settings_change": used.change.known.change if used.change else 0,
        "partner_without_number": used.settings.partner_without_number,
        "public_catalogue": used.settings.public_catalogue,
    }
