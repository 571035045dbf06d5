"""What was told of a customer, as lines to read. Nothing is refused: what can't be taken apart is shown as it came."""

import json
from collections.abc import Iterator

import msgspec

from relationship_worker.messages import json_text

_LIST = msgspec.json.Decoder(list[msgspec.Raw])
DEPTH = 2  # levels that are taken apart: an address, a contact, a catalogue


def company_name(profile: str | None) -> str:
    """The company's name; empty where none was told."""
    name = (_members(profile.encode()) or {}).get("company_name") if profile else None
    return _text(name) if name and name != b"null" else ""


def told_lines(told: str) -> Iterator[str]:
    """`name: value` for each thing that was told."""
    members = _members(told.encode())
    if members is None:
        yield told
        return
    for name, value in members.items():
        inside = _items(value)
        if inside is None:
            yield f"{name}: {_short(value, DEPTH)}"
        else:
            yield from (f"{name}: {_short(item, DEPTH)}" for item in inside)


def _short(value: bytes, depth: int) -> str:
    """A value in one line: `street Weg 1, city Ort`."""
    members = _members(value) if depth else None
    if members is None:
        return _text(value)
    return ", ".join(f"{name} {_short(inner, depth - 1)}" for name, inner in members.items())


def _text(value: bytes) -> str:
    return str(json.loads(value)) if value.startswith(b'"') else value.decode()


def _members(value: bytes) -> dict[str, bytes] | None:
    if not value.lstrip().startswith(b"{"):
        return None
    try:
        return json_text.members(value)
    except (json_text.NotJson, json_text.WrongShape):
        return None


def _items(value: bytes) -> list[bytes] | None:
    if not value.startswith(b"["):
        return None
    try:
        return [bytes(item) for item in json_text.read(value, _LIST, ())]
    except (json_text.NotJson, json_text.WrongShape):
        return None
