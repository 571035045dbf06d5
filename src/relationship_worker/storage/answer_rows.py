"""Answers as rows of PostgreSQL's binary COPY: half of what an INSERT costs the database, and no more for the client.

Source: https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY-FORMAT
"""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime

COLUMNS = [
    *("partition", "answered_at", "period"),  # the same for a batch
    *("supplier_id", "customer_id", "channel", "knew_version", "knew_change", "open"),  # the same for the same facts
    *("event_key", "data_hash", "offset", "created_at", "order_id", "answer", "record_key"),
]

_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL's
_BATCH = struct.Struct(">hiiiqii")
_FACTS = struct.Struct(">iiiii?")
_OWN = struct.Struct(">i16si8siqiqi")


class _Sizes(dict[int, bytes]):
    """The length of a field, as it stands before it; those that come often are ready."""

    def __missing__(self, size: int) -> bytes:
        return struct.pack(">i", size)


_SIZES = _Sizes()
_SIZES.update((size, _SIZES[size]) for size in range(-1, 1024))
_NULL = _SIZES[-1]


def known_facts(
    supplier_id: str,
    customer_id: str | None,
    channel: str | None,
    knew_version: int,
    knew_change: int,
    *,
    is_open: bool,
) -> bytes:
    """What the rows of all orders share that are answered by the same facts: made once for them."""
    return b"".join(
        (
            _field(supplier_id.encode()),
            _field(None if customer_id is None else customer_id.encode()),
            _field(None if channel is None else channel.encode()),
            _FACTS.pack(4, knew_version, 4, knew_change, 1, is_open),
        )
    )


OfEvent = tuple[bytes, bytes, int, datetime, bytes | None]
"""An order's event: its key, the hash of its data, its offset, when the order was created, and its record's key."""


class AnswerRows:
    """Builds the rows of one batch of orders."""

    def __init__(self, *, partition: int, period: int, now: datetime) -> None:
        """`now`: when they are answered."""
        self._before = _BATCH.pack(len(COLUMNS), 4, partition, 8, _microseconds(now), 4, period)

    def row(
        self,
        facts: bytes,
        of_event: OfEvent,
        order_id: bytes,
        before: bytes,
        as_of: bytes,
        after: bytes,
    ) -> bytes:
        """One row; `facts` as `known_facts` makes them, `order_id` in UTF-8, the answer (JSON) in three parts."""
        event_key, data_hash, offset, created_at, record_key = of_event
        since = created_at - _EPOCH
        microseconds = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        return b"".join(
            (
                self._before,
                facts,
                _OWN.pack(16, event_key, 8, data_hash, 8, offset, 8, microseconds, len(order_id)),
                order_id,
                _SIZES[len(before) + len(as_of) + len(after)],
                before,
                as_of,
                after,
                _SIZES[-1 if record_key is None else len(record_key)],
                record_key or b"",
            )
        )


def copy_of(rows: Sequence[bytes]) -> bytes:
    """What COPY is sent."""
    return b"".join((_HEAD, *rows, _END))


def _field(text: bytes | None) -> bytes:
    return _NULL if text is None else _SIZES[len(text)] + text


def _microseconds(time: datetime) -> int:
    since = time - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
