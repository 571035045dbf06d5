"""What the checker can find, and how a value that came out is held against the expected one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from model.records import UNDETERMINED, Answer, Record


class Kind(StrEnum):
    """The classes of what can be wrong."""

    LOST = "lost"
    DUPLICATE = "duplicate"
    REORDERED = "reordered"
    VERSION_GAP = "version-gap"
    ILLEGAL_TRANSITION = "illegal-transition"
    WRONG_VALUE = "wrong-value"
    STALE = "stale"
    BYTES_CHANGED = "bytes-changed"
    KEY_CHANGED = "key-changed"
    GHOST = "ghost"
    TORN = "torn"
    HUNG = "hung"
    DEAD_LETTER_MISSING = "dead-letter-missing"
    DEAD_LETTER_ALTERED = "dead-letter-altered"
    DEAD_LETTER_EXTRA = "dead-letter-extra"
    REMINDER_MISSED = "reminder-missed"
    REMINDER_DOUBLED = "reminder-doubled"
    REMINDER_EARLY = "reminder-early"
    REMINDER_VOID = "reminder-void"
    CROSS_TENANT = "cross-tenant"
    ENVELOPE = "envelope"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that is not as the model says."""

    kind: Kind
    what: str


def place(record: Record) -> str:
    """Where an output lies, for whoever looks it up."""
    return f"{record.topic}[{record.partition}]@{record.offset}"


def differing(expected: Mapping[str, object], told: object) -> list[str]:
    """The names of the fields that are not as expected; fields that nobody expects are the worker's to add."""
    if not isinstance(told, dict):
        return ["data"]
    return [
        name
        for name, value in expected.items()
        if value is not UNDETERMINED and (name not in told or not is_same(value, told[name]))
    ]


def differing_answer(expected: Answer, told: object) -> list[str]:
    """The names of an ANSWER's fields that are not as expected; flags are in no order."""
    return differing(_fields(expected), _with_sorted_flags(told))


def answer_shown(expected: Answer, told: object) -> str:
    """The differing fields of an ANSWER, as expected and as told."""
    return shown(_fields(expected), _with_sorted_flags(told), differing_answer(expected, told))


def is_same(expected: object, told: object) -> bool:
    """Whether a JSON value is the expected one; an instant may be written in any of its spellings."""
    if isinstance(expected, datetime):
        return isinstance(told, str) and _instant(told) == expected
    return type(expected) is type(told) and expected == told


def is_in_utc(text: object) -> bool:
    """Whether a time is written with UTC's offset."""
    return isinstance(text, str) and text.endswith(("Z", "+00:00"))


def _instant(text: str) -> datetime | None:
    """Any RFC 3339 time: what the worker computes may lie before the first year that it takes."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None and "T" in text else None


def shown(expected: Mapping[str, object], told: object, names: list[str]) -> str:
    """The differing fields, as expected and as told."""
    found = told if isinstance(told, dict) else {}
    return "; ".join(
        f"{name}: expected {_text(expected.get(name))}, told {found.get(name, 'nothing')!r}" for name in names
    )


def _fields(answer: Answer) -> dict[str, object]:
    return {
        "number": answer.number,
        "source": answer.source,
        "reason": answer.reason,
        "rule": answer.rule,
        "relationship_version": answer.relationship_version,
        "as_of": answer.as_of,
        "flags": sorted(answer.flags),
    }


def _with_sorted_flags(answer: object) -> object:
    if not isinstance(answer, dict) or not isinstance(answer.get("flags"), list):
        return answer
    return answer | {"flags": sorted(map(str, answer["flags"]))}


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else repr(value)
