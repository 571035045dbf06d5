"""Short ways to say an input, for tests of the model."""

import json
from datetime import UTC, datetime

from model.records import DECISIONS, ORDERS, REQUESTS, EnrichedOrder, Expected, Outcome, Record
from model.worker import Model

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
_TOPICS = {"marketplace.order.created": ORDERS, "marketplace.c": REQUESTS, "supplier.": DECISIONS}


class Told:
    """A model with a pen: gives each input an id and remembers what came out."""

    def __init__(self) -> None:
        self.model = Model()
        self.events: list[Expected] = []
        self._inputs = 0

    def request(self, time: str, **fields: object) -> list[Outcome]:
        """The customer asks."""
        return self._about("marketplace.connection.requested", time, fields)

    def withdraw(self, time: str, **fields: object) -> list[Outcome]:
        """The customer thinks better of it."""
        return self._about("marketplace.connection.withdrawn", time, fields)

    def accept(self, time: str, number: str | None = None, **fields: object) -> list[Outcome]:
        """The supplier accepts."""
        return self._about("supplier.connection.accepted", time, {"customer_number": number} | fields)

    def reject(self, time: str, **fields: object) -> list[Outcome]:
        """The supplier rejects."""
        return self._about("supplier.connection.rejected", time, fields)

    def defer(self, time: str, until: object = None, **fields: object) -> list[Outcome]:
        """The supplier puts it off."""
        return self._about("supplier.connection.deferred", time, {"resubmission_date": until} | fields)

    def end(self, time: str, **fields: object) -> list[Outcome]:
        """The supplier ends it."""
        return self._about("supplier.connection.ended", time, fields)

    def number(self, time: str, number: object, **fields: object) -> list[Outcome]:
        """The supplier assigns a number."""
        return self._about("supplier.customer-number.assigned", time, {"customer_number": number} | fields)

    def profile(self, time: str, **fields: object) -> list[Outcome]:
        """The marketplace tells a profile."""
        return self._about("marketplace.customer.profile-updated", time, {"profile": {}} | fields)

    def settings(self, time: str, **fields: object) -> list[Outcome]:
        """The supplier sets something."""
        return self._take("supplier.settings.changed", time, {"supplier_id": "s"} | fields)

    def order(self, created_at: str, order_id: str = "o", **fields: object) -> EnrichedOrder:
        """An order comes in and goes out."""
        data = {"order_id": order_id, "supplier_id": "s", "customer_id": "c", "created_at": f"{created_at}Z"} | fields
        outcomes = self._take("marketplace.order.created", "2026-05-31T00:00:00", data)
        assert isinstance(outcomes[0], EnrichedOrder), outcomes
        return outcomes[0]

    def _about(self, type_: str, time: str, fields: dict[str, object]) -> list[Outcome]:
        return self._take(type_, time, {"supplier_id": "s", "customer_id": "c"} | fields)

    def _take(self, type_: str, time: str, data: dict[str, object]) -> list[Outcome]:
        self._inputs += 1
        outcomes = self.model.take(a_record(type_, f"{time}Z", data, id_=f"e{self._inputs}"))
        self.events += [outcome for outcome in outcomes if isinstance(outcome, Expected)]
        return outcomes


def a_record(type_: str, time: str, data: object, *, id_: str = "e1", **headers: str | None) -> Record:
    """A binary event that Kafka got at NOW; a header that is None is left out."""
    attributes: dict[str, str | None] = {
        "ce_specversion": "1.0",
        "ce_id": id_,
        "ce_source": "test",
        "ce_type": type_,
        "ce_time": time,
        "content-type": "application/json",
    }
    attributes |= headers
    topic = next(topic for beginning, topic in _TOPICS.items() if type_.startswith(beginning))
    return Record(
        topic=topic,
        partition=0,
        offset=0,
        key=b"k",
        value=data if isinstance(data, bytes) else json.dumps(data).encode(),
        headers=tuple((name, text.encode()) for name, text in attributes.items() if text is not None),
        at=NOW,
    )


def told(outcomes: list[Outcome]) -> list[str]:
    """What came out in words: the type, with a refusal's code."""
    words = []
    for outcome in outcomes:
        if not isinstance(outcome, Expected):
            words.append(f"dead letter {outcome.reason}")
        elif outcome.type == "relationship.decision-refused":
            words.append(f"refused {outcome.data['reason']}")
        else:
            words.append(outcome.type.removeprefix("relationship."))
    return words
