"""Records as they may be shown: everything that may be personal is masked, what the worker goes by is not."""

from typing import Any

import msgspec

from relationship_worker.messages import json_text
from relationship_worker.messages.envelope import Headers, is_structured

MASK = "•••"
# What the worker goes by: ids, numbers, dates, codes. Everything else may be somebody's name, address or words.
SHOWN = frozenset(
    {
        *("supplier_id", "customer_id", "order_id", "created_at", "channel", "customer_number", "resubmission_date"),
        *("default_customer_number", "time_zone", "reminder_time", "partner_without_number", "public_catalogue"),
        *("customer_number_max_length", "correction_window_hours"),
    }
)
ATTRIBUTES = frozenset({"id", "source", "type", "specversion", "time", "datacontenttype", "traceparent", "tracestate"})
LONGEST = 1_000  # characters of what is shown unmasked: a field may hold anything
_HEADERS = ("content-type", "traceparent", "tracestate")
_ANY = msgspec.json.Decoder()


def masked_value(headers: Headers, value: bytes) -> Any:
    """The value as JSON, masked; None where it can't be read, so that nothing of it may be shown."""
    try:
        json_text.members(value)
        read = _ANY.decode(json_text.without_lone_surrogates(value))
    except (json_text.NotJson, json_text.WrongShape, msgspec.DecodeError, RecursionError):
        return None
    if not is_structured(headers):
        return _masked(read, SHOWN)
    return _masked({n: v for n, v in read.items() if n != "data"}, ATTRIBUTES) | (
        {"data": _masked(read["data"], SHOWN)} if "data" in read else {}
    )


def _masked(value: Any, shown: frozenset[str]) -> Any:
    """The members `shown` of an object as they are, where they are no objects or lists themselves; of the rest the shape."""
    if not isinstance(value, dict):
        return _shape(value)
    return {name: part if name in shown and _is_short(part) else _shape(part) for name, part in value.items()}


def _is_short(value: Any) -> bool:
    return not isinstance(value, dict | list) and len(str(value)) <= LONGEST


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shape(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_shape(part) for part in value]
    return value if value is None or isinstance(value, bool) else MASK


def masked_header(name: str, text: bytes | None) -> bytes | None:
    """A header's text: masked, unless it is an attribute of the event."""
    return text if text is None or name.startswith("ce_") or name.lower() in _HEADERS else MASK.encode()
