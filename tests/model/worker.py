"""The worker as its pages describe it: records in, in an order that counts, and out comes what it must say."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from model.corrections import AnsweredOrder, corrections
from model.customer_number_text import is_valid, kept_text
from model.envelope import Event, read_event
from model.orders import Question, missing_number
from model.own_rules import as_a_decision, first_match
from model.records import (
    ENRICHED,
    EVENTS,
    ORDERS,
    REMINDERS,
    UNDETERMINED,
    Cause,
    DeadLetter,
    EnrichedOrder,
    Expected,
    Outcome,
    Record,
    Reminder,
)
from model.relationships import (
    EVENT_OF_STATE,
    INPUT_OF_TYPE,
    NOTHING,
    NUMBER,
    PARK,
    REFRESH,
    STATES,
    UNKNOWN,
    Relationship,
    Version,
    cell,
)
from model.resubmission import Deferral, is_valid_date
from model.suppliers import InvalidSettings, Supplier, changed
from model.times import read_date

AHEAD = timedelta(minutes=5)
GRACE = timedelta(hours=24)
_ANYBODY = ""  # no customer's id
BY_RULE = "by a rule of the supplier's"  # no field of an event


class Model:
    """Everything that is known, and one method per way in which something comes to be said."""

    def __init__(self) -> None:
        self.suppliers: dict[str, Supplier] = {}
        self.relationships: dict[tuple[str, str], Relationship] = {}
        self.orders: dict[tuple[str, str], AnsweredOrder] = {}
        self.turn = 0  # how often all was settled
        self._orders_of: dict[tuple[str, str | None], list[AnsweredOrder]] = {}
        self._of_supplier: dict[str, list[Relationship]] = {}
        self._seen: dict[Cause, bytes] = {}
        self.deferrals: list[Deferral] = []  # all that carry a date, superseded ones too
        self._superseded: list[Deferral] = []
        self.erasures: list[Event] = []

    # What comes in

    def take(self, record: Record) -> list[Outcome]:
        """What a record leads to; an empty list where it changes nothing that anybody is told."""
        event = read_event(record)
        if isinstance(event, str):
            return [DeadLetter(record=record, reason=event)]
        if event.cause in self._seen:
            same = self._seen[event.cause] == event.raw
            return [] if same else [DeadLetter(record=record, reason="conflicting_event_id")]
        self._seen[event.cause] = event.raw
        if record.topic == ORDERS:
            return self._on_order(event)
        if record.at + AHEAD < event.time:
            return [self._refused(event, "from_the_future")]
        return self._handlers[event.type](event)

    @property
    def _handlers(self) -> dict[str, Callable[[Event], list[Outcome]]]:
        return {
            "supplier.settings.changed": self._on_settings,
            "marketplace.customer.profile-updated": self._on_profile,
            "marketplace.customer.assortment-assigned": self._on_assortment,
            "marketplace.customer.erased": self._on_erased,
        } | dict.fromkeys(INPUT_OF_TYPE, self._on_input)

    def supplier(self, supplier_id: str) -> Supplier:
        """What is known of a supplier."""
        return self.suppliers.setdefault(supplier_id, Supplier())

    def relationship(self, supplier_id: str, customer_id: str) -> Relationship:
        """What is known of a supplier and a customer."""
        if (supplier_id, customer_id) not in self.relationships:
            relationship = Relationship(supplier_id, customer_id)
            self.relationships[supplier_id, customer_id] = relationship
            self._of_supplier.setdefault(supplier_id, []).append(relationship)
        return self.relationships[supplier_id, customer_id]

    def settle(self) -> None:
        """Say that the worker has applied all that was taken so far: no order may be answered by less from here on.

        All corrections that follow from it are told too.
        """
        self.turn += 1
        for supplier in self.suppliers.values():
            supplier.settled = len(supplier.told)
        for relationship in self.relationships.values():
            relationship.settled = len(relationship.versions)

    # Suppliers

    def _on_settings(self, event: Event) -> list[Outcome]:
        supplier = self.supplier(str(event.data["supplier_id"]))
        try:
            settings = changed(supplier.newest, event.data)
        except InvalidSettings:
            return [self._refused(event, "invalid_settings")]
        if supplier.is_stale(event.time):
            return [self._refused(event, "stale")]
        supplier.tell(event.time, settings)
        if "default_customer_number" in event.data and settings.default_customer_number is not None:
            supplier.defaults_named.append(event.time)
        return [*corrections(self, event)]

    # Profile and assortment

    def _on_profile(self, event: Event) -> list[Outcome]:
        relationship = self._of(event)
        if relationship.state == "none":
            return [self._refused(event, UNKNOWN)]
        relationship.profile.tell(event.time, event.data["profile"])
        return self._by_own_rules(relationship, event, asked=False)

    def _on_assortment(self, event: Event) -> list[Outcome]:
        relationship = self._of(event)
        if relationship.state == "none":
            return [self._refused(event, UNKNOWN)]
        relationship.assortment.tell(event.time, event.data["assortment"])
        return []

    def _on_erased(self, event: Event) -> list[Outcome]:
        self.erasures.append(event)
        for relationship in self.relationships.values():
            same_supplier = event.data.get("supplier_id") in (None, relationship.supplier_id)
            if same_supplier and relationship.customer_id == event.data["customer_id"]:
                profile = relationship.profile.value
                if isinstance(profile, dict):
                    relationship.profile.value = {name: of for name, of in profile.items() if name != "contacts"}
        return []

    def _is_erased(self, event: Event) -> bool:
        """Whether a free text is of before an erasure that is known already."""
        return any(
            erasure.data["customer_id"] == event.data["customer_id"]
            and erasure.data.get("supplier_id") in (None, event.data["supplier_id"])
            and event.time <= erasure.time
            for erasure in self.erasures
        )

    def _reason(self, event: Event) -> object:
        """A rule's is the supplier's, and about nobody: it stays."""
        is_personal = BY_RULE not in event.data
        return None if is_personal and self._is_erased(event) else event.data.get("reason")

    # Relationships

    def _on_input(self, event: Event) -> list[Outcome]:
        relationship = self._of(event)
        fault = self._fault(event)
        if fault is not None:
            return [self._refused(event, fault)]
        if cell(relationship.state, INPUT_OF_TYPE[event.type]) == PARK:
            relationship.parked.append(event)
            return []
        version = relationship.version
        outcomes = self._apply(relationship, event, event.time)
        if relationship.state != "none":
            # The request is here: what had waited for it follows at once, as if it were not older than the request.
            waiting, relationship.parked = relationship.parked, []
            for parked in waiting:
                outcomes += self._apply(relationship, parked, max(parked.time, event.time), in_one_go=True)
        if event.type == "marketplace.connection.requested":
            outcomes += self._by_own_rules(relationship, event, asked=relationship.version != version)
        return outcomes

    def _by_own_rules(self, relationship: Relationship, event: Event, *, asked: bool) -> list[Outcome]:
        """An open request is looked at when it comes in, and whenever its profile is told anew."""
        supplier = self.supplier(relationship.supplier_id)
        told_anew = event.data.get("profile") is not None and relationship.profile.at == event.time
        since, requested_at = supplier.rules_since, relationship.newest_at
        if relationship.state != "requested" or not (asked or told_anew) or since is None or requested_at is None:
            return []
        rule = first_match(supplier.newest.rules, relationship.customer_id, relationship.profile.value)
        if rule is None or requested_at < since:
            return []
        at, settings = max(event.time, requested_at), supplier.newest
        type_, fields = as_a_decision(
            rule, relationship.customer_id, at, settings.time_zone, settings.customer_number_max_length
        )
        if not type_:
            return []
        ids = {name: event.data[name] for name in ("supplier_id", "customer_id")}
        decision = replace(event, type=type_, data=ids | fields | {BY_RULE: True})
        return self._apply(relationship, decision, at, in_one_go=True)

    def _fault(self, event: Event) -> str | None:
        """What is wrong with an event by itself."""
        if "customer_number" in event.data and event.type != "marketplace.connection.requested":
            longest = self.supplier(str(event.data["supplier_id"])).newest.customer_number_max_length
            if not is_valid(_number_in(event), longest):
                return "invalid_customer_number"
        if event.type == "supplier.connection.deferred":
            text = event.data.get("resubmission_date")
            if not is_valid_date(None if text is None else str(text), event.time):
                return "invalid_resubmission_date"
        return None

    def _apply(
        self, relationship: Relationship, event: Event, at: datetime, *, in_one_go: bool = False
    ) -> list[Outcome]:
        """The table, then staleness."""
        what = cell(relationship.state, INPUT_OF_TYPE[event.type])
        if what == REFRESH:
            self._keep_profile(relationship, event)
            return []
        if what == NOTHING and event.type == "supplier.connection.accepted" and relationship.state == "partner":
            what = NUMBER if _number_in(event) else NOTHING
        if what == NUMBER:
            what = NOTHING if (_number_in(event) or None) == relationship.kept_number else NUMBER
        if what == NOTHING:
            return []
        if what not in STATES and what != NUMBER:
            return [self._refused(event, what.removeprefix("!"))]
        if relationship.is_stale(at):
            return [self._refused(event, "stale")]
        self._supersede(relationship, in_one_go=in_one_go)
        is_number = what == NUMBER
        told = (
            self._number_changed(relationship, event, at) if is_number else self._moved(relationship, event, at, what)
        )
        return [told, *corrections(self, event)]

    def _moved(self, relationship: Relationship, event: Event, at: datetime, state: str) -> Expected:
        before = relationship.state
        brought = _number_in(event) if state == "partner" else ""
        number = brought or relationship.kept_number
        if state == "requested" and before == "rejected":
            relationship.previously_rejected = True
        if state == "partner":
            relationship.previously_rejected = False
        self._add_version(relationship, at, state, number, brings_number=bool(brought))
        if state == "requested":
            self._keep_profile(relationship, event)
        due_on = self._remember_deferral(relationship, event, at) if state == "deferred" else None
        decision = event.type.startswith("supplier.")
        data = {
            "supplier_id": relationship.supplier_id,
            "customer_id": relationship.customer_id,
            "version": relationship.version,
            "state": state,
            "previous_state": before,
            "decided_at": at,
            "decided_by": event.data.get("decided_by") if decision else None,
            "reason": self._reason(event) if decision else None,
            "resubmission_date": due_on,
            "customer_number": number if state == "partner" else None,
            "previously_rejected": relationship.previously_rejected,
        }
        if data["customer_number"] is not None:
            data["shared"] = self._is_shared(relationship, str(number), at)
        return self._event(event, EVENT_OF_STATE[state], data)

    def _number_changed(self, relationship: Relationship, event: Event, at: datetime) -> Expected:
        previous = relationship.kept_number
        number = _number_in(event) or None
        self._add_version(relationship, at, "partner", number, brings_number=number is not None)
        data = {
            "supplier_id": relationship.supplier_id,
            "customer_id": relationship.customer_id,
            "version": relationship.version,
            "customer_number": number,
            "previous": previous,
            "shared": number is not None and self._is_shared(relationship, number, at),
        }
        return self._event(event, "relationship.customer-number-changed", data)

    def _add_version(
        self, relationship: Relationship, at: datetime, state: str, number: str | None, *, brings_number: bool
    ) -> None:
        version = Version(
            number=relationship.version + 1,
            valid_from=at,
            state=state,
            customer_number=number,
            brings_number=brings_number,
        )
        relationship.versions.append(version)

    def _is_shared(self, relationship: Relationship, number: str, at: datetime) -> object:
        """Whether another partner carries the number, or it is the default.

        The page says "as of the change": where it matters whether that is the change's time or the moment at which
        the worker heard of it, the value is undetermined.
        """
        others = [other for other in self._of_supplier[relationship.supplier_id] if other is not relationship]
        supplier = self.supplier(relationship.supplier_id)
        now = supplier.newest.default_customer_number == number or any(
            other.state == "partner" and other.kept_number == number for other in others
        )
        then = supplier.as_of(at).default_customer_number == number or any(
            version is not None and version.state == "partner" and version.customer_number == number
            for version in (other.as_of(at) for other in others)
        )
        return now if now == then else UNDETERMINED

    def _keep_profile(self, relationship: Relationship, event: Event) -> None:
        if event.data.get("profile") is not None:
            relationship.profile.tell(event.time, event.data["profile"])

    def _refused(self, event: Event, reason: str) -> Expected:
        supplier_id = str(event.data.get("supplier_id"))
        data: dict[str, object] = {
            "supplier_id": supplier_id,
            "decision_id": event.cause.id,
            "decision_type": event.type,
            "reason": reason,
        }
        if event.type == "supplier.settings.changed":
            data |= {"customer_id": None, "state": None, "version": 0}
        else:
            relationship = self._of(event)
            data |= {
                "customer_id": relationship.customer_id,
                "state": relationship.state,
                "version": relationship.version,
            }
        return self._event(event, "relationship.decision-refused", data)

    def _event(self, event: Event, type_: str, data: dict[str, object]) -> Expected:
        subject = str(data["supplier_id"])
        if data["customer_id"] is not None:
            subject += f"/{data['customer_id']}"
        return Expected(
            topic=EVENTS,
            key=subject.encode(),
            type=type_,
            subject=subject,
            cause=event.cause,
            trace=event.trace,
            data=data,
        )

    def _of(self, event: Event) -> Relationship:
        return self.relationship(str(event.data["supplier_id"]), str(event.data["customer_id"]))

    def give_up_parked(self, by: datetime) -> list[DeadLetter]:
        """The decisions whose request never came within the grace time; their ids are free again."""
        given_up = []
        for relationship in self.relationships.values():
            late = [event for event in relationship.parked if event.record.at + GRACE <= by]
            relationship.parked = [event for event in relationship.parked if event not in late]
            for event in late:
                del self._seen[event.cause]
                given_up.append(DeadLetter(record=event.record, reason=UNKNOWN))
        return given_up

    # Reminders

    def _remember_deferral(self, relationship: Relationship, event: Event, at: datetime) -> object:
        text = event.data.get("resubmission_date")
        if text is None:
            return None
        due_on = read_date(str(text))
        assert due_on is not None, "an invalid date was refused before"
        reason = self._reason(event)
        relationship.deferral = Deferral(
            supplier_id=relationship.supplier_id,
            customer_id=relationship.customer_id,
            version=relationship.version,
            due_on=due_on,
            deferred_at=at,
            reason=None if reason is None else str(reason),
            cause=event.cause,
        )
        self.deferrals.append(relationship.deferral)
        return str(text)

    def _supersede(self, relationship: Relationship, *, in_one_go: bool) -> None:
        """A newer version makes the reminder void; whether it was told before is open, unless both came in one go."""
        deferral, relationship.deferral = relationship.deferral, None
        if deferral is None:
            return
        deferral.superseded = True
        if not in_one_go and not deferral.looked_at:
            self._superseded.append(deferral)

    def reminders_due(self, by: datetime) -> list[Reminder]:
        """The reminders that must have been told by then, each once; and those that may have been, had time allowed."""
        due = []
        for deferral in self._superseded:
            if self._due_at(deferral) <= by:
                due.append(self._reminder(deferral, may_be_missing=True))
        self._superseded.clear()
        for deferral in self.deferrals:
            if deferral.told or deferral.superseded:
                continue
            deferral.looked_at = True
            if self._due_at(deferral) <= by:
                deferral.told = True
                due.append(self._reminder(deferral, may_be_missing=False))
        return due

    def _due_at(self, deferral: Deferral) -> datetime:
        return deferral.due_at(self.supplier(deferral.supplier_id).newest)

    def _reminder(self, deferral: Deferral, *, may_be_missing: bool) -> Reminder:
        subject = f"{deferral.supplier_id}/{deferral.customer_id}"
        due_at = self._due_at(deferral)
        return Reminder(
            topic=REMINDERS,
            key=subject.encode(),
            type="relationship.reminder-due",
            subject=subject,
            cause=deferral.cause,
            due_at=due_at,
            deferred_at=deferral.deferred_at,
            may_be_missing=may_be_missing,
            data={
                "supplier_id": deferral.supplier_id,
                "customer_id": deferral.customer_id,
                "version": deferral.version,
                "due_on": deferral.due_on.isoformat(),
                "due_at": due_at,
                "deferred_at": deferral.deferred_at,
                "overdue": due_at <= deferral.deferred_at,
                "reason": deferral.reason,
            },
        )

    # Orders

    def _on_order(self, event: Event) -> list[Outcome]:
        data = event.data
        supplier_id, order_id = str(data["supplier_id"]), str(data["order_id"])
        customer_id = None if data.get("customer_id") is None else str(data["customer_id"])
        before = self.orders.get((supplier_id, order_id))
        asked = Question.of(event, self.supplier(supplier_id), self._known(supplier_id, customer_id))
        answered = asked.answer() if before is None else before.courses[0].last
        order = EnrichedOrder(
            topic=ENRICHED,
            key=event.record.key,
            type="order.enriched",
            subject=order_id,
            cause=event.cause,
            trace=event.trace,
            supplier_id=supplier_id,
            customer_id=customer_id,
            order_id=order_id,
            order=event.raw,
            answer=answered,
            behind=asked.answers_since_settled() - {answered} if before is None else frozenset(),
            outdated=asked.answers_by_less() - {answered} if before is None else frozenset(),
            turn=self.turn,
        )
        if before is not None:
            return [order]
        remembered = AnsweredOrder.first(order, asked)
        self.orders[supplier_id, order_id] = remembered
        self._orders_of.setdefault((supplier_id, customer_id), []).append(remembered)
        self._orders_of.setdefault((supplier_id, _ANYBODY), []).append(remembered)
        return [order] if answered.number is not None else [order, missing_number(order, answered)]

    def answered_of(self, supplier_id: str, customer_id: str | None) -> list[AnsweredOrder]:
        """The orders that a fact about a customer may concern, or (None) one about the supplier."""
        return self._orders_of.get((supplier_id, _ANYBODY if customer_id is None else customer_id), [])

    def _known(self, supplier_id: str, customer_id: str | None) -> Relationship:
        return Relationship(supplier_id, "") if customer_id is None else self.relationship(supplier_id, customer_id)


def _number_in(event: Event) -> str:
    """The kept text of the number that an event brings; empty where it brings none."""
    number = event.data.get("customer_number")
    return kept_text(None if number is None else str(number))
