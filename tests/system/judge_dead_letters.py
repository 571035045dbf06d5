"""Dead letters: each unreadable record once, as it came, with its reason and its place."""

from collections import defaultdict

from model.envelope import Event
from model.records import DeadLetter, Record
from system.differences import Difference, Kind, place
from system.expectations import Expectations
from system.parties import CONTACT

_ADDED = ("deadletter-reason", "deadletter-detail", "deadletter-topic", "deadletter-partition", "deadletter-offset")


def judge_dead_letters(expected: Expectations, outputs: list[Record]) -> list[Difference]:
    """Hold the dead letters against the records that nobody can read or believe."""
    due = {letter.record.place: letter for letter in expected.dead_letters}
    told_of: dict[tuple[str, int, int], list[Record]] = defaultdict(list)
    differences = []
    for told in outputs:
        origin = _origin(told)
        if origin not in due or told_of[origin]:
            reason = told.header("deadletter-reason")
            differences.append(_of(Kind.DEAD_LETTER_EXTRA, f"{place(told)}: {reason} for {origin}"))
        else:
            told_of[origin].append(told)
            differences += _judge_one(due[origin], told, expected.model.erasures)
    for origin, letter in due.items():
        if not told_of[origin]:
            differences.append(_of(Kind.DEAD_LETTER_MISSING, f"{letter.reason} for {origin}"))
    return differences


def _judge_one(letter: DeadLetter, told: Record, erasures: list[Event]) -> list[Difference]:
    wrong = []
    if told.key != letter.record.key:
        wrong.append(f"key {told.key!r} instead of {letter.record.key!r}")
    if told.value != letter.record.value and not _is_erased(letter, told, erasures):
        wrong.append("value")
    came = len(letter.record.headers)
    if told.headers[:came] != letter.record.headers:
        wrong.append("headers")
    if sorted(name for name, _ in told.headers[came:]) != sorted(_ADDED):
        wrong.append(f"added headers {[name for name, _ in told.headers[came:]]}")
    if told.header("deadletter-reason") != letter.reason:
        wrong.append(f"reason {told.header('deadletter-reason')} instead of {letter.reason}")
    if CONTACT in (told.header("deadletter-detail") or ""):
        wrong.append("personal data in the detail")
    if not wrong:
        return []
    return [_of(Kind.DEAD_LETTER_ALTERED, f"{place(told)}, from {letter.record.place}: {'; '.join(wrong)}")]


def _is_erased(letter: DeadLetter, told: Record, erasures: list[Event]) -> bool:
    """Where an erasure overtakes a dead letter, this goes out without personal data."""
    named = [f'"{erasure.data["customer_id"]}"'.encode() in (letter.record.value or b"") for erasure in erasures]
    return any(named) and CONTACT.encode() not in (told.value or b"")


def _origin(told: Record) -> tuple[str, int, int]:
    """The place that a dead letter names, its topic without a prefix."""
    topic = told.header("deadletter-topic") or ""
    try:
        return topic, int(told.header("deadletter-partition") or ""), int(told.header("deadletter-offset") or "")
    except ValueError:
        return topic, -1, -1


def _of(kind: Kind, what: str) -> Difference:
    return Difference(kind=kind, what=what)
