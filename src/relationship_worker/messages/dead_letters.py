"""Dead letters read back: where each came from, why it was set aside, and the record as it came."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from relationship_worker.messages import json_text
from relationship_worker.messages.envelope import Headers, Reason, is_structured
from relationship_worker.messages.outgoing import INPUT_TOPICS

PREFIX = "deadletter-"
LEFT_OUT = "left out"  # in a letter's detail, where not all of the record is in it
_PLACE = re.compile(r"([A-Za-z0-9._-]{1,249}):(\d{1,9}):(\d{1,18})", re.ASCII)
_TEXT = msgspec.json.Decoder(str)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a record came from: what names a dead letter. `topic` is the contract's name."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"


def read_place(text: str) -> Place | None:
    """What `str` of a place wrote; None where it is none."""
    found = _PLACE.fullmatch(text)
    return Place(topic=found[1], partition=int(found[2]), offset=int(found[3])) if found else None


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A record as it was set aside. `headers` are its own; `lies_at` is where it lies in `dead-letters`."""

    place: Place
    reason: str
    detail: str
    at: datetime
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    lies_at: tuple[int, int]

    @property
    def lacks_value(self) -> bool:
        """Its value, or more of it, did not fit or was erased: only an edited one can be replayed."""
        return LEFT_OUT in self.detail or (self.value is None and self.reason != Reason.EMPTY_VALUE)


def read_letter(
    key: bytes | None, value: bytes | None, headers: Headers, *, at: datetime, lies_at: tuple[int, int]
) -> Letter | None:
    """A record of `dead-letters`; None where it is none of this worker's."""
    added = {
        name: text or b"" for name, text in headers if name.startswith(PREFIX)
    }  # of several the last is the worker's
    place = read_place(
        ":".join(added.get(PREFIX + part, b"").decode("latin-1") for part in ("topic", "partition", "offset"))
    )
    if place is None or place.topic not in INPUT_TOPICS:
        return None
    return Letter(
        place=place,
        reason=added.get(PREFIX + "reason", b"").decode("utf-8", "replace"),
        detail=added.get(PREFIX + "detail", b"").decode("utf-8", "replace"),
        at=at,
        key=key,
        value=value,
        headers=own_headers(headers),
        lies_at=lies_at,
    )


def own_headers(headers: Headers) -> list[tuple[str, bytes | None]]:
    """A record's headers less those that say why it was set aside."""
    return [(name, text) for name, text in headers if not name.startswith(PREFIX)]


def supplier_of(key: bytes | None, value: bytes | None, headers: Headers) -> str | None:
    """Whose a record seems to be: by its data, or else by its key; None where neither says."""
    try:
        data = json_text.members(value or b"")
        if is_structured(headers):
            data = json_text.members(data.get("data", b""))
        return _TEXT.decode(data["supplier_id"])
    except (json_text.NotJson, json_text.WrongShape, KeyError, msgspec.DecodeError):
        supplier, slash, _ = (key or b"").partition(b"/")
        return supplier.decode("utf-8", "replace") if slash else None


def set_headers(headers: Headers, changes: dict[str, str | None]) -> list[tuple[str, bytes | None]]:
    """The headers with some of them said anew; null takes one away."""
    kept: list[tuple[str, bytes | None]] = [(name, text) for name, text in headers if name not in changes]
    return kept + [(name, text.encode()) for name, text in changes.items() if text is not None]


def size_of(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> int:
    """Bytes that a record takes in a batch of its own, at the most."""
    return 100 + len(key or b"") + len(value or b"") + sum(len(n.encode()) + len(v or b"") + 10 for n, v in headers)
