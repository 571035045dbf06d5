"""Records of which each is about a supplier and a customer of its own: what becomes of one depends on no other."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

from model.records import DECISIONS, ORDERS, REQUESTS, Record
from system.plan import PARTITIONS

TYPES = {
    REQUESTS: "marketplace.connection.requested",
    DECISIONS: "supplier.connection.accepted",
    ORDERS: "marketplace.order.created",
}
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=20)
_serial = count()


@dataclass
class Draft:
    """A record that may yet be changed."""

    topic: str
    serial: int
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    data: dict[str, object] = field(default_factory=dict)
    is_good: bool = False  # it stays as it was made
    bomb: str = ""  # its kind, if it is one

    @property
    def id(self) -> str:
        """Of its event, as it was made."""
        return f"e-{self.serial}-{_mark(self.serial)}"

    def sealed(self) -> "Draft":
        """With its data as its value."""
        self.value = json.dumps(self.data).encode()
        return self

    def record(self, now: datetime) -> Record:
        """As the model reads it; not yet at its place."""
        return Record(
            topic=self.topic,
            partition=self.partition,
            offset=-1,
            key=self.key,
            value=self.value,
            headers=tuple(self.headers),
            at=now,
        )


def start_anew() -> None:
    """Count worlds from the first again: the same seed makes the same records."""
    global _serial
    _serial = count()


def _mark(serial: int) -> str:
    """One flipped byte must not make another's id of it."""
    return f"{Random(serial).getrandbits(64):016x}"


def a_draft(topic: str, type_: str | None = None, data: dict[str, object] | None = None) -> Draft:
    """A record in good order, in a world of its own."""
    serial = next(_serial)
    mark = _mark(serial)
    pair: dict[str, object] = {"supplier_id": f"s-{serial}-{mark}", "customer_id": f"c-{serial}-{mark}"}
    if topic == ORDERS:
        pair["order_id"] = f"O-{serial}-{mark}"
        if serial % 5 == 0:
            pair["customer_id"] = None  # a walk-in
    attributes = {
        "ce_id": f"e-{serial}-{mark}",
        "ce_source": "/chaos",
        "ce_type": type_ or TYPES[topic],
        "ce_specversion": "1.0",
        "ce_time": (NOON + timedelta(seconds=serial % 86_400)).isoformat(),
        "content-type": "application/json",
    }
    return Draft(
        topic=topic,
        serial=serial,
        partition=serial % PARTITIONS,
        key=f"{pair['supplier_id']}/{pair['customer_id']}".encode(),
        value=None,
        headers=[(name, text.encode()) for name, text in attributes.items()],
        data={**(data or {}), **pair},
    ).sealed()
