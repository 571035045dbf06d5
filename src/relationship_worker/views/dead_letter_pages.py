"""Dead letters on a screen and as JSON."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from relationship_worker.messages.masked import MASK, masked_header, masked_value
from relationship_worker.storage.dead_letter_acts import Done
from relationship_worker.storage.dead_letter_cases import Case
from relationship_worker.storage.held_back import Hold
from relationship_worker.storage.records import HeaderList
from relationship_worker.storage.stopped_partitions import StoppedPartition
from relationship_worker.views import dead_letters
from relationship_worker.views.screen import Page, print_json, when

HIDDEN = "hidden: it can't be read, so nothing in it can be masked (--reveal shows it)"


def show_list(found: dead_letters.Page, *, unsent: int, stopped: Sequence[StoppedPartition], as_json: bool) -> None:
    """Print one page of the list, and first what stands still because of dead letters."""
    if as_json:
        listed = [as_json_object(case) for case in found.cases]
        standing = [
            {"topic": one.topic, "partition": one.partition, "since": one.since, "bad": one.bad, "of": one.of}
            for one in stopped
        ]
        print_json({"dead_letters": listed, "next": found.next, "unsent_replays": unsent, "stopped": standing})
        return
    page = Page()
    for one in stopped:
        page.line(
            f"{one.topic}:{one.partition} stands still since {when(one.since)}: {one.bad} of {one.of} records were bad; "
            f"`dead-letters go-on {one.topic}:{one.partition}`"
        )
    if unsent:
        page.line(f"{unsent} replays were begun and may not be sent: `dead-letters replay` finishes them")
    if not found.cases:
        page.line("no dead letters")
    else:
        now = datetime.now(UTC)
        widths = {"dead letter": 26, "reason": 20, "age": 5, "supplier": 10, "holds": 5, "state": 9}
        page.table(widths, [_cells(case, now) for case in found.cases], whole=("dead letter", "reason", "supplier"))
    if found.next:
        page.line(f"more: --after {found.next}")
    page.print()


def _cells(case: Case, now: datetime) -> list[str]:
    held = str(case.hold.behind) if case.hold is not None else ""
    return [str(case.place), case.letter.reason, _age(now, case.letter.at), case.supplier_id or "", held, case.state]


def _age(now: datetime, at: datetime) -> str:
    seconds = max(0, int((now - at).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def as_json_object(case: Case) -> dict[str, Any]:
    """A case without its record."""
    return {
        "id": str(case.place),
        "topic": case.place.topic,
        "partition": case.place.partition,
        "offset": case.place.offset,
        "reason": case.letter.reason,
        "detail": case.letter.detail,
        "since": case.letter.at,
        "supplier_id": case.supplier_id,
        "state": case.state,
        "holds_back": _hold_as_json(case.hold) if case.hold is not None else None,
    }


def _hold_as_json(hold: Hold) -> Mapping[str, Any]:
    return {
        "supplier_id": hold.pair[0],
        "customer_id": hold.pair[1] or None,
        "inputs": hold.behind,
        "since": hold.since,
        "step": hold.step,
        "said": hold.said,
    }


def show_case(case: Case, *, reveal: bool, as_json: bool) -> None:
    """Print one dead letter whole: the record, what it holds back, and what was done about it."""
    if as_json:
        shown = as_json_object(case) | {"key": _text(case.letter.key)}
        shown |= _record_as_json(case.letter.headers, case.letter.value, reveal=reveal)
        shown["acts"] = [_act_as_json(one, reveal=reveal) for one in case.acts]
        print_json(shown)
        return
    page = Page()
    page.line(f"dead letter {case.place}")
    page.about("reason", case.letter.reason, case.letter.detail)
    page.about("since", when(case.letter.at))
    page.about("state", case.state)
    if case.hold is not None:
        page.about("holds back", *_hold_lines(case.hold))
    elif case.supplier_id is not None:
        page.about("supplier", case.supplier_id)
    _print_record(page, case.letter.key, case.letter.headers, case.letter.value, reveal=reveal)
    for one in case.acts:
        page.line()
        page.about(one.act, f"{when(one.at)} by {one.by}", *([f"why: {one.why}"] if one.why else []))
        if one.headers is not None:
            _print_record(page, case.letter.key, one.headers, one.value, reveal=reveal)
    page.print()


def _hold_lines(hold: Hold) -> list[str]:
    whose = f"customer {hold.pair[1]}" if hold.pair[1] else "the settings"
    lines = [f"{hold.behind} inputs of {whose} of supplier {hold.pair[0]}, since {when(hold.since)}"]
    return lines + ([f"replay: {hold.said}"] if hold.said else [])


def _print_record(page: Page, key: bytes | None, headers: HeaderList, value: bytes | None, *, reveal: bool) -> None:
    page.about("key", "none" if key is None else _text(key) or "")
    page.about("headers", *[f"{name}: {text}" for name, text in _headers(headers, reveal=reveal)] or ["none"])
    page.about("value", *_value_lines(headers, value, reveal=reveal))


def _value_lines(headers: HeaderList, value: bytes | None, *, reveal: bool) -> list[str]:
    if value is None:
        return ["none"]
    if reveal:
        return [f"{len(value)} bytes", *value.decode("utf-8", "backslashreplace").split("\n")]
    masked = masked_value(headers, value)
    if masked is None:
        return [f"{len(value)} bytes, {HIDDEN}"]
    return [f"{len(value)} bytes, masked (--reveal shows all)", *_lines(masked)]


def _lines(value: Mapping[str, Any], indent: str = "") -> list[str]:
    lines: list[str] = []
    for name, part in value.items():
        if isinstance(part, dict) and part:
            lines += [f"{indent}{name}:", *_lines(part, indent + "  ")]
        elif isinstance(part, list):
            lines.append(f"{indent}{name}: a list of {len(part)}")
        else:
            lines.append(f"{indent}{name}: {'null' if part is None else part}")
    return lines


def _record_as_json(headers: HeaderList, value: bytes | None, *, reveal: bool) -> dict[str, Any]:
    """`value` is the text where it is revealed, and JSON where it is masked; bytes that are no UTF-8 are escaped."""
    shown: dict[str, Any] = {
        "headers": [list(one) for one in _headers(headers, reveal=reveal)],
        "size": len(value or b""),
        "masked": not reveal,
    }
    if value is None:
        return shown | {"value": None}
    if reveal:
        return shown | {"value": value.decode("utf-8", "backslashreplace")}
    masked = masked_value(headers, value)
    return shown | {"value": MASK if masked is None else masked}


def _headers(headers: HeaderList, *, reveal: bool) -> Sequence[tuple[str, str | None]]:
    return [(name, _text(text if reveal else masked_header(name, text))) for name, text in headers]


def _act_as_json(one: Done, *, reveal: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"act": one.act, "at": one.at, "by": one.by, "why": one.why}
    return shown | (_record_as_json(one.headers, one.value, reveal=reveal) if one.headers is not None else {})


def _text(text: bytes | None) -> str | None:
    return None if text is None else text.decode("utf-8", "backslashreplace")
