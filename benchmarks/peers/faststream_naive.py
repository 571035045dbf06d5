"""FastStream as its documentation shows it: a model in, a model out, one message at a time, at least once."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker
from pydantic import BaseModel, ConfigDict

NUMBERS: dict[str, str] = json.loads(Path(os.environ["BENCH_NUMBERS"]).read_text())

broker = KafkaBroker(os.environ["BENCH_BOOTSTRAP_SERVERS"], logger=None)
app = FastStream(broker, logger=None)


class Order(BaseModel):
    """An order; what is not named here is passed on."""

    model_config = ConfigDict(extra="allow")
    order_id: str
    supplier_id: str
    customer_id: str | None = None
    created_at: datetime
    channel: str | None = None


class CustomerNumber(BaseModel):
    """The number that applies."""

    number: str | None
    source: str


class EnrichedOrder(BaseModel):
    """An order with its number."""

    customer_number: CustomerNumber
    order: dict[str, Any]


@broker.publisher(os.environ["BENCH_OUTPUT"])
@broker.subscriber(
    os.environ["BENCH_ORDERS"],
    group_id=os.environ["BENCH_GROUP"],
    auto_offset_reset="earliest",
    ack_policy=AckPolicy.NACK_ON_ERROR,
)
async def enrich(order: Order) -> EnrichedOrder:
    """The order with its customer's number, or without one."""
    number = NUMBERS.get(f"{order.supplier_id}/{order.customer_id}")
    answer = CustomerNumber(number=number, source="partner" if number else "none")
    return EnrichedOrder(customer_number=answer, order=order.model_dump(mode="json"))


if __name__ == "__main__":
    import asyncio

    asyncio.run(app.run())
