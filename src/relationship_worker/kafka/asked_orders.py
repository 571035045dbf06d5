"""The orders of fetched records: nearly all of them are read in one go, the odd ones step by step, to the same end."""

from msgspec.structs import asdict

from relationship_worker.kafka.alike_headers import AlikeHeaders
from relationship_worker.kafka.plain_records import FetchedRecord
from relationship_worker.messages.envelope import (
    MAX_VALUE_BYTES,
    WHITE_SPACE,
    data_hash,
    event_key,
    open_envelope,
)
from relationship_worker.messages.orders import (
    ORDER_TYPES,
    Order,
    has_order_id,
    is_party_id,
    is_supplier_id,
    read_order,
    read_plain,
)
from relationship_worker.messages.outgoing import ORDERS
from relationship_worker.messages.times import quick_time


class Asked(Order, frozen=True, gc=False):
    """A readable order, where it lay, and what recognises its event."""

    record: FetchedRecord
    key: bytes
    hash: bytes


class AskedOrders:
    """Reads the records of a partition."""

    def __init__(self) -> None:
        self._alike = AlikeHeaders(ORDERS)

    def read(self, record: FetchedRecord) -> Asked:
        """Raises InvalidMessage."""
        head, value = record.head, record.value
        alike = self._alike.get(len(head))
        if alike is None or not value or len(value) > MAX_VALUE_BYTES:
            return self._read_any(record)
        for same, at in alike.same:
            if not head.startswith(same, at):
                return self._read_any(record)
        id_, time_text, data = head[alike.id], head[alike.time], value.strip(WHITE_SPACE)
        time, order = quick_time(time_text), read_plain(data)
        if (
            time is None
            or order is None
            or not (id_.isascii() and id_.decode().isprintable())
            or not has_order_id(order.order_id)
            or not is_supplier_id(order.supplier_id)
            or not (order.customer_id is None or is_party_id(order.customer_id))
        ):
            return self._read_any(record)
        if order.created_at is not None and order.created_at != time_text.decode():
            time = quick_time(order.created_at.encode())
            if time is None:
                return self._read_any(record)
        trace: tuple[tuple[str, bytes], ...] = ()
        if alike.trace:
            trace = tuple([(name, head[at]) for name, at in alike.trace])
            if not all(text.isascii() for _, text in trace):
                return self._read_any(record)
        key = alike.key_begun.copy()
        key.update(id_)
        return Asked(
            id_,
            alike.source,
            trace,
            data,
            order.order_id,
            order.supplier_id,
            order.customer_id,
            *time,
            order.channel,
            True,
            record,
            key.digest(),
            data_hash(data),
        )

    def _read_any(self, record: FetchedRecord) -> Asked:
        event = open_envelope(record.headers, record.value, ORDER_TYPES)
        self._alike.learn(record, event)
        key = event_key(ORDERS, event.source, event.id)
        return Asked(**asdict(read_order(event)), record=record, key=key, hash=data_hash(event.data))
