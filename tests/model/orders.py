"""An order's question to the facts, and what follows from the answer."""

from dataclasses import dataclass, replace
from datetime import datetime

from model.answers import answer
from model.envelope import Event
from model.records import EVENTS, Answer, EnrichedOrder, Expected
from model.relationships import Relationship
from model.suppliers import Supplier
from model.times import read_time


@dataclass(frozen=True, kw_only=True)
class Question:
    """What an order asks of the facts, so that it can be asked of fewer facts too."""

    supplier: Supplier
    relationship: Relationship
    channel: str | None
    created_at: datetime
    flags: frozenset[str]

    @classmethod
    def of(cls, event: Event, supplier: Supplier, relationship: Relationship) -> "Question":
        """Read the question off an order."""
        created = event.data.get("created_at")
        created_at = event.time if created is None else read_time(str(created))
        assert created_at is not None, "an unreadable time was set aside before"
        channel = event.data.get("channel")
        flags = set()
        if event.data.get("customer_id") is None:
            flags.add("no_customer")
        if channel is not None and channel not in ("public", "private"):
            channel = None
            flags.add("unknown_channel")
        return cls(
            supplier=supplier,
            relationship=relationship,
            channel=None if channel is None else str(channel),
            created_at=created_at,
            flags=frozenset(flags),
        )

    def answer(
        self, known_settings: int | None = None, known_versions: int | None = None, *, at: datetime | None = None
    ) -> Answer:
        """The table's answer as of the order's creation, or another instant, by the facts that came first (None: all)."""
        at = at or self.created_at
        version = self.relationship.as_of(at, known_versions)
        is_partner = version is not None and version.state == "partner"
        return answer(
            is_partner=is_partner,
            individual=version.customer_number if version is not None and is_partner else None,
            version=None if version is None else version.number,
            settings=self.supplier.as_of(at, known_settings),
            channel=self.channel,
            as_of=at,
            flags=self.flags,
        )

    def answers_since_settled(self) -> frozenset[Answer]:
        """What facts that were certainly applied, and any of the later ones, give."""
        return self._answers(self.supplier.settled, self.relationship.settled)

    def answers_by_less(self) -> frozenset[Answer]:
        """What any beginning of the facts gives."""
        return self._answers(0, 0)

    def _answers(self, settings: int, versions: int) -> frozenset[Answer]:
        return frozenset(
            self.answer(known_settings, known_versions)
            for known_settings in range(settings, len(self.supplier.told) + 1)
            for known_versions in range(versions, len(self.relationship.versions) + 1)
        )


def missing_number(order: EnrichedOrder, answered: Answer) -> Expected:
    """What the supplier is told, once, of an order that was answered with no number."""
    key = order.supplier_id if order.customer_id is None else f"{order.supplier_id}/{order.customer_id}"
    return Expected(
        topic=EVENTS,
        key=key.encode(),
        type="order.customer-number-missing",
        subject=order.order_id,
        cause=order.cause,
        trace=order.trace,
        data={
            "supplier_id": order.supplier_id,
            "customer_id": order.customer_id,
            "order_id": order.order_id,
            "reason": answered.reason,
        },
    )


def not_caught_up(answered: Answer) -> Answer:
    """The answer as it goes out where the decisions were not caught up."""
    return replace(answered, flags=answered.flags | {"decisions_not_caught_up"})
