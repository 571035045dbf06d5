"""The models of the code by event type, and what is published besides them."""

import msgspec
from pydantic import BaseModel

from relationship_worker.messages.incoming import MODELS
from relationship_worker.messages.orders import ORDER_CREATED, OrderCreated
from relationship_worker.messages.outgoing import EVENT_MODELS, CustomerNumberCorrected

INPUTS: dict[str, type[msgspec.Struct]] = {**MODELS, ORDER_CREATED: OrderCreated}
OUTPUTS: dict[str, type[BaseModel]] = {model.type: model for model in EVENT_MODELS}  # order.enriched is bytes, no model

CORRECTED = CustomerNumberCorrected.type
HEADERS = {"input-headers", "output-headers", "enriched-order-headers", "dead-letter-headers"}
STRUCTURED = "structured-event"
