"""An output as a reader finds it: its attributes, and its data once it has turned out to be readable."""

import json
from dataclasses import dataclass

from model.json_text import NotJson, member, read_json, without_outer_blanks
from model.records import ENRICHED, Expected, Record
from model.times import read_time
from system.differences import Difference, Kind, place

_NEEDED = ("id", "source", "type", "subject", "time", "specversion", "causationid", "causationsource")


@dataclass(frozen=True, kw_only=True)
class Told:
    """A readable output. `order` is the slice of an enriched order's input."""

    record: Record
    type: str
    cause: tuple[str, str]
    data: dict[str, object]
    order: bytes | None

    @property
    def place(self) -> str:
        """Where it lies."""
        return place(self.record)


def read_told(record: Record) -> Told | Difference:
    """The output in a record. What breaks the envelope makes it unreadable."""
    missing = [name for name in _NEEDED if not record.header(f"ce_{name}")]
    if missing:
        return _broken(record, f"without {', '.join(missing)}")
    names = [name for name, _ in record.headers]
    if len(set(names)) < len(names):
        return _broken(record, "a header twice")
    if record.header("ce_specversion") != "1.0" or record.header("ce_source") != "relationship-worker":
        return _broken(record, "specversion or source")
    if read_time(record.header("ce_time") or "") is None:
        return _broken(record, f"time {record.header('ce_time')!r}")
    if record.header("content-type") != "application/json":
        return _broken(record, f"content-type {record.header('content-type')!r}")
    try:
        data = read_json(record.value or b"")
    except NotJson as why:
        return _broken(record, f"no JSON: {why}")
    if not isinstance(data, dict):
        return _broken(record, "no object")
    order = None
    if record.topic == ENRICHED and "order" in data:
        assert record.value is not None, "it was read above"
        order = member(record.value, "order")
        data = {"customer_number": json.loads(member(record.value, "customer_number") or b"null")}
    else:
        data = json.loads(record.value or b"")
    return Told(
        record=record,
        type=str(record.header("ce_type")),
        cause=(str(record.header("ce_causationsource")), str(record.header("ce_causationid"))),
        data=data,
        order=None if order is None else without_outer_blanks(order),
    )


def envelope_differences(
    told: Told, expected: Expected, extensions: dict[str, str | None] | None = None
) -> list[Difference]:
    """What the attributes of an output have other than expected."""
    attributes: dict[str, str | None] = {"ce_subject": expected.subject, **(extensions or {})}
    wrong = [name for name, text in attributes.items() if told.record.header(name) != text]
    wrong += [name for name, value in expected.trace if (name, value) not in told.record.headers]
    return [_broken(told.record, f"{name} is {told.record.header(name)!r}") for name in wrong]


def repeated_ids(outputs: list[Told]) -> list[Difference]:
    """Outputs that carry the id of another one, although they tell something else."""
    first: dict[str | None, Told] = {}
    found = []
    for told in outputs:
        known = first.setdefault(told.record.header("ce_id"), told)
        if _what_it_tells(known) != _what_it_tells(told):
            found.append(_broken(told.record, f"has the id of {known.place}"))
    return found


def _what_it_tells(told: Told) -> tuple[object, ...]:
    """One fact may correct many orders."""
    return (told.cause, told.type, told.record.header("ce_subject"))


def _broken(record: Record, what: str) -> Difference:
    return Difference(kind=Kind.ENVELOPE, what=f"{place(record)}: {what}")
