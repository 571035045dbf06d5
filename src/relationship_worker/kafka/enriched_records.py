"""Enriched orders as bytes: an order's own bytes, the answer before them, and the headers that say what it is.

The same as `record` makes of a message, at a third of the price: of a header's bytes most are the same for all orders.
"""

from binascii import hexlify
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from relationship_worker.kafka.asked_orders import Asked
from relationship_worker.kafka.record_batch import LENGTHS, header
from relationship_worker.messages.envelope import SHORT
from relationship_worker.messages.orders import ORDER_ENRICHED
from relationship_worker.messages.outgoing import SOURCE

_VALUE, _ORDER, _END = b'{"customer_number":', b',"order":', b"}"
_AROUND = len(_VALUE) + len(_ORDER) + len(_END)
_OWN_HEADERS = 9  # those of `outgoing.headers_of`
_SUFFIX = b".enriched"


def _name(name: bytes) -> bytes:
    return LENGTHS[len(name)] + name


_BEFORE_ID = header("ce_specversion", b"1.0") + _name(b"ce_id") + LENGTHS[2 * 16 + len(_SUFFIX)]
_SUBJECT = _name(b"ce_subject")
_CAUSATION_ID = _name(b"ce_causationid")


class Told(msgspec.Struct, frozen=True, gc=False):
    """What is the same in the records of all orders that are told the same: made once for them."""

    before: bytes  # the answer (JSON) around its `as_of`
    after: bytes
    size: int  # bytes of the value without its order and `as_of`
    headers: int  # how many
    routing: bytes

    def answer(self, as_of: bytes) -> str:
        """The answer (JSON) of an order that was created then."""
        return (self.before + as_of + self.after).decode()


def told(before: bytes, after: bytes, headers: Sequence[tuple[str, bytes | None]]) -> Told:
    """`before` and `after`: the answer (JSON) around its `as_of`; `headers`: those by which a connector routes the order."""
    routing = b"".join([header(name, text) for name, text in headers])
    return Told(before, after, _AROUND + len(before) + len(after), _OWN_HEADERS + len(headers), routing)


class EnrichedRecords:
    """Builds the records of one batch of orders."""

    def __init__(self, now: str) -> None:
        """`now`: when they are told, RFC 3339."""
        attributes = (("ce_source", SOURCE), ("ce_type", ORDER_ENRICHED.encode()), ("ce_time", now.encode()))
        self._behind_key = _SUFFIX + b"".join(header(name, text) for name, text in attributes) + _SUBJECT

    def record(self, asked: Asked, order_id: bytes, as_of: bytes, told: Told) -> bytes:
        """A record's bytes, all but its place in a batch. `order_id`: UTF-8; `as_of`: what is between the answer's parts."""
        key, data, cause, source, trace = asked.record.key, asked.data, asked.event_id, asked.source, asked.trace
        return b"".join(
            (
                LENGTHS[-1 if key is None else len(key)],
                key or b"",
                LENGTHS[told.size + len(as_of) + len(data)],
                _VALUE,
                told.before,
                as_of,
                told.after,
                _ORDER,
                data,
                _END,
                LENGTHS[told.headers + len(trace)],
                _BEFORE_ID,
                hexlify(asked.key),
                self._behind_key,
                LENGTHS[len(order_id)],
                order_id,
                _CAUSATION_ID,
                LENGTHS[len(cause)],
                cause,
                _kept(source) if len(source) <= SHORT else _source_and_content_type(source),
                b"".join([header(name, text) for name, text in trace]) if trace else b"",
                told.routing,
            )
        )


def _source_and_content_type(source: str) -> bytes:
    return header("ce_causationsource", source.encode()) + header("content-type", b"application/json")


_kept = lru_cache(maxsize=1_000)(_source_and_content_type)  # some kilobytes; a marketplace has few sources
