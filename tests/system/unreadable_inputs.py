"""Records that nobody can read or believe: between the others, on every topic, under their keys."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from model.envelope import read_event
from model.records import DECISIONS, ORDERS, REQUESTS, Record
from system.envelopes import Sending, binary, structured
from system.parties import Pair
from system.stage import RoundFrame, Stage

_TYPES = {
    REQUESTS: "marketplace.connection.requested",
    DECISIONS: "supplier.connection.accepted",
    ORDERS: "marketplace.order.created",
}
_VALUES = (
    None,
    b"",
    b"  \n",
    b"{",
    b"[1,2",
    b'{"supplier_id":NaN}',
    b'\xef\xbb\xbf{"a":1}',
    b'{"a":"\xff"}',
    b'{"a":"\t"}',
    b"[" * 1000 + b"]" * 1000,
    b'{"a":' * 100_000,
    b"null",
    b"7",
    b'"text"',
    b"[]",
    b"{}",
)
_WRONG_FIELDS: tuple[dict[str, object], ...] = (
    {"supplier_id": None},
    {"supplier_id": 7},
    {"supplier_id": ""},
    {"supplier_id": "a/b"},
    {"supplier_id": "s" * 65},
    {"supplier_id": "süd"},
    {"supplier_id": " s"},
    {"supplier_id": "a\n"},
    {"customer_id": ""},
    {"customer_id": 4711},
    {"customer_id": {"id": "k"}},
    {"customer_id": "k\u0000"},
)
_WRONG_ORDER_FIELDS: tuple[dict[str, object], ...] = (
    {"order_id": None},
    {"order_id": ""},
    {"order_id": " order"},
    {"order_id": "order\u00a0"},
    {"order_id": "or\u200bder"},
    {"order_id": "or\u202eder"},
    {"order_id": "or\nder"},
    {"order_id": "o" * 129},
    {"order_id": 17},
    {"order_id": "or\u0000der"},
    {"order_id": "or\ud800der"},
    {"created_at": "2026-01-01T08:00:00"},
    {"created_at": "2026-01-01"},
    {"created_at": "2026-01-01 08:00:00Z"},
    {"created_at": "2026-01-01T24:00:00Z"},
    {"created_at": "2026-01-01T08:00:60Z"},
    {"created_at": "2026-02-30T08:00:00Z"},
    {"created_at": "1999-12-31T23:59:59Z"},
    {"created_at": "2200-01-01T00:00:00Z"},
    {"created_at": "2200-01-01T00:30:00-01:00"},
    {"created_at": 1767254400},
    {"created_at": ""},
)
_WRONG_DECISION_FIELDS: tuple[dict[str, object], ...] = (
    {"customer_number": 4711},
    {"customer_number": ["4711"]},
    {"customer_number": "47\u000011"},
    {"customer_number": "47\udc0011"},
    {"decided_by": 7},
)
_WRONG_REQUEST_FIELDS: tuple[dict[str, object], ...] = (
    {"profile": "Firma"},
    {"profile": []},
    {"profile": {"company_name": 7}},
    {"profile": {"address": "Halle"}},
    {"profile": {"contacts": {"name": "not a list"}}},
)
_WRONG_ATTRIBUTES: tuple[tuple[str, bytes | None], ...] = (
    ("ce_id", None),
    ("ce_id", b""),
    ("ce_source", None),
    ("ce_source", b""),
    ("ce_specversion", None),
    ("ce_specversion", b"0.3"),
    ("ce_time", None),
    ("ce_time", b"yesterday"),
    ("ce_time", b"2026-01-01T08:00:00"),
    ("ce_time", b"1999-12-31T23:59:59Z"),
    ("ce_time", b"2200-01-01T00:00:00Z"),
    ("ce_type", None),
    ("ce_type", b"marketplace.unheard-of"),
    ("ce_type", b"Marketplace.Order.Created"),
    ("content-type", b"text/plain"),
    ("content-type", b"application/cloudevents+avro"),
)
_OF_TOPIC = {ORDERS: _WRONG_ORDER_FIELDS, DECISIONS: _WRONG_DECISION_FIELDS, REQUESTS: _WRONG_REQUEST_FIELDS}
LARGEST = 1_048_576


@dataclass
class UnreadableInputs:
    """Makes records that end as dead letters; each uses up no id, so its id may come again in good order."""

    stage: Stage
    pairs: list[Pair]

    def one(self, topic: str, frame: RoundFrame) -> Record:
        """Any of them, on a topic."""
        rng = self.stage.rng
        if rng.random() < 0.4:
            wrong = rng.choice(_WRONG_FIELDS + _OF_TOPIC[topic])
            record = rng.choice((binary, structured))(rng, self._good(topic, frame, wrong))
        else:
            make = rng.choice((_wrong_value, _wrong_attribute, _wrong_envelope))
            record = make(rng, self._good(topic, frame))
        assert isinstance(read_event(record), str), record
        return record

    def too_large(self, topic: str, frame: RoundFrame) -> Record:
        """One byte over what is taken."""
        return self.of_size(topic, frame, LARGEST + 1)

    def of_size(self, topic: str, frame: RoundFrame, size: int) -> Record:
        """A record whose value has that many bytes."""
        record = binary(self.stage.rng, self._good(topic, frame))
        assert record.value is not None
        room = size - len(record.value.strip()) - len(b',"x_filling":""')
        return replace(record, value=record.value.strip()[:-1] + b',"x_filling":"' + b"x" * room + b'"}')

    def _good(self, topic: str, frame: RoundFrame, wrong: Mapping[str, object] | None = None) -> Sending:
        pair = self.stage.rng.choice(self.pairs)
        fields: dict[str, object] = {"supplier_id": pair.supplier.id, "customer_id": pair.customer_id}
        if topic == ORDERS:
            fields["order_id"] = f"spare-{self.stage.rng.getrandbits(60):x}"
        return self.stage.event(topic, pair.key, _TYPES[topic], frame.starts, fields | (wrong or {}), oddity=0.0)


def _wrong_value(rng: Random, good: Sending) -> Record:
    return replace(binary(rng, good), value=rng.choice(_VALUES))


def _wrong_attribute(rng: Random, good: Sending) -> Record:
    name, changed = rng.choice(_WRONG_ATTRIBUTES)
    if name == "ce_type" and rng.random() < 0.3:
        changed = b"supplier.connection.accepted" if good.topic == ORDERS else b"marketplace.order.created"
    record = binary(rng, good)
    headers = ((header, changed if header == name else value) for header, value in record.headers)
    return replace(record, headers=tuple((header, value) for header, value in headers if value is not None))


def _wrong_envelope(rng: Random, good: Sending) -> Record:
    record = structured(rng, good)
    assert record.value is not None
    value = record.value.replace(b'"data":', rng.choice((b'"data_base64":', b'"dato":')), 1)
    broken = (
        value,
        record.value[:-1],
        record.value.replace(b'"1.0"', b"1.0"),
        b"not JSON",
        b'{"specversion":"1.0"}',
        b'{"specversion":"1.0","id":7,"source":"s","type":"t","time":"2026-01-01T08:00:00Z","data":{}}',
    )
    return replace(record, value=rng.choice(broken))
