"""What customers and suppliers send about one relationship, guided by the state that it has come to."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from model.records import DECISIONS, REQUESTS, Record
from model.relationships import INPUT_OF_TYPE, NUMBER, PARK, STATES, Relationship, cell
from model.times import due_instant, five_years_after
from system.clocks import date_that_moves, far_date, past_date
from system.envelopes import Sending
from system.parties import CONTACT, Pair, invalid_number_text, number_text
from system.stage import AHEAD_BUT_TAKEN, JUST_TOO_FAR_AHEAD, RoundFrame, Stage

_OF_REQUESTS = ("marketplace.connection.requested", "marketplace.connection.withdrawn")
_OF_DECISIONS = tuple(type_ for type_ in INPUT_OF_TYPE if type_.startswith("supplier."))
_OFTEN = {
    "requested": ("supplier.connection.accepted", "supplier.connection.accepted", "supplier.connection.deferred"),
    "deferred": ("supplier.connection.accepted", "supplier.connection.deferred"),
    "partner": ("supplier.customer-number.assigned", "supplier.customer-number.assigned"),
    "ended": ("supplier.connection.accepted", "supplier.connection.accepted"),
}
_DATES_REFUSED = (
    "",
    "1999-12-31",
    "2026-02-30",
    "2026-13-01",
    "31.12.2026",
    "2026-1-5",
    "2026-12-31T08:00:00Z",
    "soon",
)
_REASONS = ("Bonität geprüft", "bitte später noch einmal", "kein Händler", "", 'a "reason" with\nlines')
_COUNTRIES = ("DE", "DE", " de", "AT", "CH", "EIRE")
_VAT_IDS = ("DE123456789", "DE136695976", "DE 136 695 976", "beantragt", " ", "")


@dataclass
class RelationshipInputs:
    """Makes the inputs of a round: those of one relationship lie on one topic, under one key."""

    stage: Stage
    sent_before: dict[int, list[Sending]] = field(default_factory=dict)
    _defaults_given: set[str] = field(default_factory=set)

    def of_round(self, pair: Pair, count: int, frame: RoundFrame) -> list[Record]:
        """The inputs of a relationship in a round, in their order."""
        stage = self.stage
        relationship = self._relationship(pair)
        topic = self._topic(relationship)
        key = pair.key if stage.rng.random() < 0.97 else b"erp-batch-%d" % stage.rng.randrange(9)
        records = []
        own: list[Sending] = []
        for _ in range(count):
            sending = self._again(pair, topic, key, own) or self._new(pair, relationship, topic, key, frame)
            own.append(sending)
            records += stage.records(sending)
        self.sent_before.setdefault(pair.serial, []).extend(own)
        return records

    def erasure(self, pair: Pair, frame: RoundFrame) -> list[Record]:
        """The customer's personal data go; nobody is told."""
        data: dict[str, object] = {"customer_id": pair.customer_id}
        if self.stage.rng.random() < 0.5:
            data["supplier_id"] = pair.supplier.id
        return self.stage.records(
            self.stage.event(REQUESTS, pair.customer_id.encode(), "marketplace.customer.erased", frame.ends, data)
        )

    def holds_texts(self, pair: Pair) -> bool:
        """Whether something is still to be told that an erasure would change, early or late."""
        relationship = self._relationship(pair)
        return bool(relationship.parked) or relationship.deferral is not None

    def _relationship(self, pair: Pair) -> Relationship:
        return self.stage.model.relationship(pair.supplier.id, pair.customer_id)

    def _topic(self, relationship: Relationship) -> str:
        of_requests = 0.6 if relationship.state == "withdrawn" else 0.2
        if relationship.state == "none":
            of_requests = 0.9 if relationship.parked else 0.75
        return REQUESTS if self.stage.rng.random() < of_requests else DECISIONS

    def _again(self, pair: Pair, topic: str, key: bytes, own: list[Sending]) -> Sending | None:
        """Now and then an event comes again, as it was or in conflict with what it was."""
        rng = self.stage.rng
        if rng.random() > 0.08:
            return None
        before = [one for one in own + self.sent_before.get(pair.serial, []) if one.topic == topic]
        if not before:
            return None
        again = self.stage.under(rng.choice(before), key)
        return self.stage.in_conflict(again) if rng.random() < 0.25 else again

    def _new(self, pair: Pair, relationship: Relationship, topic: str, key: bytes, frame: RoundFrame) -> Sending:
        type_ = self._type(pair, relationship, topic)
        time = self._time(pair, relationship, frame, type_)
        data: dict[str, object] = {"supplier_id": pair.supplier.id, "customer_id": pair.customer_id}
        data |= self._fields(pair, type_, time)
        if type_ == "supplier.connection.deferred" and pair.group is None and self.stage.rng.random() < 0.1:
            time, data["resubmission_date"] = self._to_the_hour(pair, frame)
        return self.stage.event(topic, key, type_, time, data)

    def _to_the_hour(self, pair: Pair, frame: RoundFrame) -> tuple[datetime, str]:
        """A deferral that names its own day, at the stroke of the reminder hour or a moment beside it."""
        settings = self.stage.model.supplier(pair.supplier.id).newest
        day = frame.ends.date()
        stroke = due_instant(day, settings.reminder_time, settings.time_zone)
        return stroke + self.stage.rng.choice((-1, 0, 0, 1)) * timedelta(microseconds=1), day.isoformat()

    def _type(self, pair: Pair, relationship: Relationship, topic: str) -> str:
        rng = self.stage.rng
        types = _OF_REQUESTS if topic == REQUESTS else _OF_DECISIONS
        if topic == REQUESTS and relationship.state == "none" and rng.random() < 0.8:
            return "marketplace.connection.requested"
        if topic == REQUESTS and rng.random() < 0.3:
            return rng.choice(("marketplace.customer.profile-updated", "marketplace.customer.assortment-assigned"))
        telling = [
            type_ for type_ in types if cell(relationship.state, INPUT_OF_TYPE[type_]) in STATES | {NUMBER, PARK}
        ]
        if topic == DECISIONS:
            telling += _OFTEN.get(relationship.state, ())
            if relationship.state == "partner" and pair.group is not None:
                telling += ["supplier.connection.ended"] * 3  # a number that an ended one keeps is not shared
        return rng.choice(telling) if telling and rng.random() < 0.8 else rng.choice(types)

    def _time(self, pair: Pair, relationship: Relationship, frame: RoundFrame, type_: str) -> datetime:
        stage, newest = self.stage, relationship.newest_at
        usual = stage.moment(max(frame.starts, min(newest or frame.starts, frame.ends)), frame.ends)
        chance = stage.rng.random()
        if pair.group is not None:
            return usual
        if stage.rng.random() < 0.2:
            beside = stage.beside_an_order(pair.supplier.id, customer_id=pair.customer_id)
            if beside is not None:
                return beside
        if newest is not None:
            if chance < 0.08:
                return newest
            if chance < 0.16:
                return newest - stage.rng.choice(
                    (timedelta(microseconds=1), timedelta(milliseconds=1), timedelta(hours=7), timedelta(days=40))
                )
        if chance < 0.24:
            return stage.moment(frame.starts - timedelta(days=20), frame.ends)  # shuffled over the rounds
        if chance < 0.255:
            far = timedelta(days=stage.rng.randint(1, 400))
            return stage.now + (stage.rng.choice((JUST_TOO_FAR_AHEAD, far)) if stage.clocks_agree else far)
        if (
            chance < 0.26
            and stage.clocks_agree
            and type_ in ("supplier.connection.accepted", "supplier.customer-number.assigned")
        ):
            return stage.now + AHEAD_BUT_TAKEN
        return usual

    def _fields(self, pair: Pair, type_: str, time: datetime) -> dict[str, object]:
        rng = self.stage.rng
        fields: dict[str, object] = {}
        if type_.startswith("supplier."):
            fields |= rng.choice(({}, {"decided_by": "portal/inge"}, {"decided_by": None}, {"decided_by": "ERP 7"}))
        match type_:
            case "supplier.connection.accepted":
                fields |= self._reason()
                if rng.random() < 0.7:
                    fields["customer_number"] = self._number(pair)
            case "supplier.customer-number.assigned":
                fields["customer_number"] = self._number(pair)
            case "supplier.connection.deferred":
                fields |= self._reason() | self._date(pair, time)
            case "supplier.connection.rejected" | "supplier.connection.ended":
                fields |= self._reason()
            case "marketplace.connection.requested":
                if rng.random() < 0.5:
                    fields |= {"profile": self._profile(pair), "message": "Guten Tag"}
            case "marketplace.customer.profile-updated":
                fields["profile"] = self._profile(pair)
            case "marketplace.customer.assortment-assigned":
                fields["assortment"] = {
                    "catalogues": [{"id": f"cat-{pair.serial}", "name": "Grundsortiment"}],
                    "price_lists": [],
                    "further": {"discount": "3 %"},
                }
        return fields

    def _reason(self) -> dict[str, object]:
        rng = self.stage.rng
        return {"reason": rng.choice(_REASONS)} if rng.random() < 0.5 else {}

    def _number(self, pair: Pair) -> object:
        rng = self.stage.rng
        chance = rng.random()
        kept = self._relationship(pair).kept_number
        if pair.group is not None and chance < 0.6:
            return pair.group_number
        if chance < 0.06:
            return invalid_number_text(rng, pair)
        if chance < 0.16:
            return rng.choice((None, "", "  ", "\u3000"))
        if chance < 0.24 and kept is not None:
            return f" {kept}"
        if chance < 0.27 and pair.group is None:
            default = self.stage.model.supplier(pair.supplier.id).newest.default_customer_number
            if default is not None and default not in self._defaults_given:
                self._defaults_given.add(default)
                return default
        self.stage.numbers[pair.serial] += 1
        return number_text(rng, pair, self.stage.numbers[pair.serial])

    def _date(self, pair: Pair, time: datetime) -> dict[str, object]:
        rng, now = self.stage.rng, self.stage.now
        earlier = self._relationship(pair).deferral
        if earlier is not None and rng.random() < 0.15:
            return {"resubmission_date": earlier.due_on.isoformat()}
        chance = rng.random()
        if chance < 0.2:
            return rng.choice(({}, {"resubmission_date": None}))
        if chance < 0.3:
            return {"resubmission_date": rng.choice(_DATES_REFUSED)}
        if chance < 0.35:
            return {"resubmission_date": (five_years_after(time) + timedelta(days=1)).isoformat()}
        if chance < 0.4:
            return {"resubmission_date": five_years_after(time).isoformat()}
        if chance < 0.5 and pair.supplier.moves:
            return {"resubmission_date": date_that_moves(now).isoformat()}
        if chance < 0.75:
            return {"resubmission_date": past_date(rng, pair.supplier, now, time).isoformat()}
        return {"resubmission_date": far_date(rng, now, time).isoformat()}

    def _profile(self, pair: Pair) -> dict[str, object]:
        rng = self.stage.rng
        profile: dict[str, object] = {
            "company_name": f"Firma {pair.serial} GmbH & Co. KG",
            "address": {
                "street": "Hauptstraße 1",
                "postal_code": "06108",
                "city": "Halle",
                "country": rng.choice(_COUNTRIES),
            },
            "vat_id": rng.choice(_VAT_IDS),
            "currency": rng.choice(("EUR", "EUR", "eur", "CHF", "EURO")),
            "contacts": [{"name": CONTACT, "email": "erika@example.org", "phone": "+49 30 1"}],
            "own_field": {"kept": True},
        }
        return {name: of for name, of in profile.items() if rng.random() < 0.8}
