"""The orders that the demo plays: a sample of a real history moved to the last weeks, and documents of six formats."""

import gzip
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from relationship_worker.local.demo_story import CUSTOMERS, DATA, HASTY, NORTH, SOUTH, Sent, Story, attributes, iso
from relationship_worker.messages.orders import ORDER_CREATED
from relationship_worker.messages.outgoing import ORDERS

LAST_ORDER = timedelta(minutes=30)  # before now
DOCUMENTS = {  # by format: the file, and who sends it
    "UBL": ("ubl.xml", NORTH, "14911"),
    "openTRANS": ("opentrans.xml", NORTH, "15311"),
    "cXML": ("cxml.xml", NORTH, "17841"),
    "X12": ("x12.edi", SOUTH, "17949"),
    "Shopify": ("shopify.json", SOUTH, "17389"),
    "Amazon": ("amazon.json", NORTH, None),
}
CHANNELS = ("private", "public", None)
REPEATED = 25  # events that come a second time, byte for byte
TOLD_AGAIN = 10  # orders that come a second time as another event
CUT_AT = 300  # bytes of an order that did not arrive whole
RATE_BYTES = 2_000  # larger orders are left out of the many: those would measure the copying of bytes


@dataclass(frozen=True, kw_only=True)
class PlayedOrder:
    """An order as it was sent, and what the demo needs to know of it."""

    order_id: str
    supplier: str
    customer: str | None
    created_at: datetime
    sent: Sent
    kind: str = "order"


@dataclass(frozen=True, kw_only=True)
class Play:
    """What goes onto `orders`, in this order."""

    history: list[PlayedOrder]
    documents: list[PlayedOrder]
    hasty: PlayedOrder
    repeated: list[Sent]
    told_again: list[PlayedOrder]
    unreadable: list[Sent]

    @property
    def orders(self) -> list[PlayedOrder]:
        """Each order once."""
        return [*self.history, *self.documents, self.hasty]

    @property
    def answered(self) -> dict[str, PlayedOrder]:
        """By the event's id: what is to come out again."""
        return {order.sent.event_id: order for order in (*self.orders, *self.told_again)}


def span_of_history() -> timedelta:
    """From the first to the last order of the sample."""
    times = [datetime.fromisoformat(json.loads(line)["created_at"]) for line in _history()]
    return times[-1] - times[0]


def play(story: Story) -> Play:
    """The orders; the history's first lies at the story's opening, and all its gaps are kept."""
    history = list(_played_history(story))
    documents = [_document(story, number, format_) for number, format_ in enumerate(DOCUMENTS, 1)]
    hasty = _hasty(story)
    orders = [*history, *documents]
    rng = random.Random(42)  # the same ones each time
    again = [
        replace(
            order, sent=replace(order.sent, headers=attributes(f"again-{order.order_id}", ORDER_CREATED, story.now))
        )
        for order in rng.sample(orders, TOLD_AGAIN)
    ]
    return Play(
        history=history,
        documents=documents,
        hasty=hasty,
        repeated=[order.sent for order in rng.sample(orders, REPEATED)],
        told_again=again,
        unreadable=_unreadable(story, history),
    )


def many(story: Story, count: int, orders: list[PlayedOrder]) -> Iterator[PlayedOrder]:
    """So many more orders: those of the sample again and again, each under an id of its own."""
    small = [order for order in orders if len(order.sent.value) <= RATE_BYTES]
    for number in range(count):
        order = small[number % len(small)]
        new_id = f"R{number:06}"
        value = order.sent.value.replace(
            f'"order_id": "{order.order_id}"'.encode(), f'"order_id": "{new_id}"'.encode(), 1
        )
        headers = attributes(f"rate-{new_id}", ORDER_CREATED, order.created_at)
        yield replace(order, order_id=new_id, sent=replace(order.sent, value=value, headers=headers))


def _played_history(story: Story) -> Iterator[PlayedOrder]:
    shift: timedelta | None = None
    of_south = set(CUSTOMERS[SOUTH])
    of_north = set(CUSTOMERS[NORTH])
    for line in _history():
        order = json.loads(line)
        created = datetime.fromisoformat(order["created_at"])
        shift = story.opening - created if shift is None else shift
        created += shift
        number = int(order["order_id"].lstrip("C"))
        customer = order["customer_id"]
        south = customer in of_south or (customer not in of_north and int(customer or number) % 4 == 0)
        supplier = SOUTH if south else NORTH
        channel = CHANNELS[number % len(CHANNELS)]
        # The rest stays as it lies there; prices go out as JSON numbers, to see that 2.10 stays 2.10.
        text = line.replace(f'"created_at": "{order["created_at"]}"', f'"created_at": "{created.isoformat()}"', 1)
        text = re.sub(r'"price": "(-?[0-9.]+)"', r'"price": \1', text)
        added = {"supplier_id": supplier} | ({"channel": channel} if channel else {})
        value = json.dumps(added)[:-1] + ", " + text[1:]
        kind = "cancellation" if order["order_id"].startswith("C") else "order"
        sent = _sent(order["order_id"], supplier, customer, created, value.encode())
        yield PlayedOrder(
            order_id=order["order_id"], supplier=supplier, customer=customer, created_at=created, sent=sent, kind=kind
        )


def _document(story: Story, number: int, format_: str) -> PlayedOrder:
    name, supplier, customer = DOCUMENTS[format_]
    document = (DATA / "documents" / name).read_bytes()
    created = story.now - LAST_ORDER + timedelta(minutes=number)
    order_id = f"DOC-{number}"
    data = {"order_id": order_id, "supplier_id": supplier, "customer_id": customer, "created_at": iso(created)}
    data |= {"channel": "private" if number % 2 else "public", "format": format_}
    if not name.endswith(".json"):  # those lie in the order as they are, the others as a text
        document = json.dumps(document.decode("utf-8"), ensure_ascii=False).encode()
    value = json.dumps(data, ensure_ascii=False).encode()[:-1] + b', "document": ' + document + b"}"
    sent = _sent(order_id, supplier, customer, created, value)
    return PlayedOrder(
        order_id=order_id,
        supplier=supplier,
        customer=customer,
        created_at=created,
        sent=sent,
        kind=f"{format_} document",
    )


def _hasty(story: Story) -> PlayedOrder:
    data = {"order_id": "LAST-1", "supplier_id": NORTH, "customer_id": HASTY, "created_at": iso(story.now)}
    data |= {"channel": "private"}
    sent = _sent("LAST-1", NORTH, HASTY, story.now, json.dumps(data).encode())
    return PlayedOrder(order_id="LAST-1", supplier=NORTH, customer=HASTY, created_at=story.now, sent=sent)


def _sent(order_id: str, supplier: str, customer: str | None, created: datetime, value: bytes) -> Sent:
    key = f"{supplier}/{customer}" if customer else None
    return Sent(topic=ORDERS, key=key, value=value, headers=attributes(f"order-{order_id}", ORDER_CREATED, created))


def _unreadable(story: Story, history: list[PlayedOrder]) -> list[Sent]:
    """An order that was cut off on its way, and another one under an id that was used before."""
    cut = next(order.sent for order in history if len(order.sent.value) > CUT_AT)
    other = history[20].sent
    return [
        replace(
            cut, value=cut.value[:CUT_AT], headers=attributes("cut-off", ORDER_CREATED, story.now), made="invalid_json"
        ),
        replace(other, headers=history[30].sent.headers, made="conflicting_event_id"),
    ]


def _history() -> list[str]:
    with (DATA / "orders.jsonl.gz").open("rb") as packed:
        return gzip.decompress(packed.read()).decode("utf-8").splitlines()


def utc_now() -> datetime:
    """Whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)
