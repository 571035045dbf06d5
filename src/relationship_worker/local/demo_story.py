"""What the demo plays before the orders: two suppliers, sixteen real companies, and what they say to each other."""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files

from relationship_worker.messages import incoming
from relationship_worker.messages.outgoing import CONNECTION_REQUESTS, RELATIONSHIP_DECISIONS

DATA = files("relationship_worker.local") / "demo_data"

NORTH, SOUTH = "north", "south"  # the suppliers: one with a default customer number, one without
DEFAULTS = {NORTH: "0099000", SOUTH: None}
LATE_DEFAULT = "S-990"  # what the supplier without one names in the end
WINDOW = timedelta(hours=72)  # so far back a fact that comes late corrects orders, unless a supplier says otherwise
CUSTOMERS = {  # ids of the order history; the companies behind them are lent for the demo
    NORTH: ("14911", "12748", "17841", "12971", "14606", "15311", "14527", "13089", "16422", "13408", "16029"),
    SOUTH: ("14156", "17949", "17389", "17677", "15189"),
}
HASTY = "12748"  # gets another number in the very second in which it orders
RENUMBERED, ENDED, PARKED, RECONSIDERED = "14911", "12971", "15311", "13408"
UNNUMBERED, UNNUMBERED_SOUTH, PENDING_SOUTH = "17841", "17389", "14156"
OVERDUE, CAME_DUE = "16422", "14527"

COUNTRY_LISTS = {
    "IE": "ireland", "DE": "germany", "AT": "austria", "CH": "switzerland", "NL": "netherlands", "GB": "unitedKingdom",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A record that goes onto a topic; `made` is what it has to make: an event's type, or a dead letter's reason."""

    topic: str
    key: str | None
    value: bytes
    headers: list[tuple[str, bytes]]
    made: str | None = None

    @property
    def event_id(self) -> str:
        """The id of the event in it."""
        return dict(self.headers)["ce_id"].decode()


@dataclass(frozen=True, kw_only=True)
class Fact:
    """From then on this pair is a partner or not, with this number (None: as before)."""

    at: datetime
    partner: bool
    number: str | None = None


@dataclass(kw_only=True)
class Story:
    """Rounds, each played once the one before it is done: what lies on two topics has no order between them."""

    opening: datetime  # days count from here: the first order
    now: datetime
    settings: list[Sent] = field(default_factory=list)
    too_early: list[Sent] = field(default_factory=list)  # decisions before their requests
    requests: list[Sent] = field(default_factory=list)
    decisions: list[Sent] = field(default_factory=list)
    at_the_last_moment: list[Sent] = field(default_factory=list)  # together with the orders
    in_the_end: list[Sent] = field(default_factory=list)  # a default number, for orders that went out without any
    facts: dict[tuple[str, str], list[Fact]] = field(default_factory=dict)
    reminders: set[tuple[str, str]] = field(default_factory=set)

    @property
    def made(self) -> Counter[str]:
        """How many events of each type, and dead letters of each reason, all this has to make."""
        rounds = (self.settings, self.too_early, self.requests, self.decisions, self.at_the_last_moment)
        return Counter(sent.made for round_ in rounds for sent in round_ if sent.made)

    def day(self, day: float) -> datetime:
        """So many days after the opening."""
        return self.opening + timedelta(days=day)

    def expected_number(self, supplier: str, customer: str | None, at: datetime) -> tuple[str | None, str]:
        """The number and its source that an order of that time has to carry, by what was told above."""
        partner, number = False, None
        for fact in self.facts.get((supplier, customer or ""), []):
            if fact.at <= at:
                partner, number = fact.partner, fact.number or number
        if partner and number:
            return number, "partner"
        default = DEFAULTS[supplier]
        return default, "default" if default else "none"

    def is_to_be_corrected(self, supplier: str, customer: str | None, at: datetime) -> bool:
        """An order of that time went out without a number, and the default that is named in the end still reaches it."""
        number, _ = self.expected_number(supplier, customer, at)
        return number is None and self.now - WINDOW <= at < self.now


def tell_story(opening: datetime, now: datetime) -> Story:
    """The story, so that its last day is today."""
    story = Story(opening=opening, now=now)
    _settings(story)
    _requests(story)
    _partners(story)
    _others(story)
    _refused(story)
    story.decisions.append(replace(story.decisions[0], made=None))  # told twice: no second effect
    return story


def _settings(story: Story) -> None:
    changes: tuple[tuple[str, dict[str, str | None]], ...] = (
        (NORTH, {"default_customer_number": DEFAULTS[NORTH], "time_zone": "Europe/Berlin"}),
        (SOUTH, {"time_zone": "Europe/Vienna", "reminder_time": "07:30"}),
    )
    for supplier, change in changes:
        data = {"supplier_id": supplier, **change}
        story.settings.append(_sent(incoming.SETTINGS_CHANGED, supplier, data, story.day(-12)))
    late = {"supplier_id": SOUTH, "default_customer_number": LATE_DEFAULT}
    story.in_the_end.append(_sent(incoming.SETTINGS_CHANGED, SOUTH, late, story.now))


def _requests(story: Story) -> None:
    pairs = [(supplier, customer) for supplier, customers in CUSTOMERS.items() for customer in customers]
    for (supplier, customer), profile in zip(pairs, _profiles(), strict=True):
        data = {"supplier_id": supplier, "customer_id": customer, "profile": profile}
        at = story.day(-9 if customer != PARKED else -5)
        key = f"{supplier}/{customer}"
        story.requests.append(_sent(incoming.REQUESTED, key, data, at, made="relationship.requested"))
    partner, catalogue = {"supplier_id": NORTH, "customer_id": HASTY}, {"id": "A-2", "name": "Tools, net prices"}
    assortment = {**partner, "assortment": {"catalogues": [catalogue]}}
    story.requests.append(_sent(incoming.ASSORTMENT_ASSIGNED, f"{NORTH}/{HASTY}", assortment, story.day(-8)))
    withdrawn = {"supplier_id": NORTH, "customer_id": "13089"}
    story.requests.append(
        _sent(incoming.WITHDRAWN, f"{NORTH}/13089", withdrawn, story.day(10), made="relationship.withdrawn")
    )


def _partners(story: Story) -> None:
    early = _accept(story, NORTH, PARKED, day=-6, number="A-000311", counts_from=-5)
    story.decisions.remove(early)
    story.too_early.append(early)
    _accept(story, NORTH, RENUMBERED, day=-8, number="007100")
    _number(story, NORTH, RENUMBERED, story.day(24), "IE-7100", story.decisions)
    _accept(story, NORTH, HASTY, day=-8, number=" 00042 ")  # outer blanks go, zeros stay
    _number(story, NORTH, HASTY, story.now, "K 42/b", story.at_the_last_moment)
    _accept(story, NORTH, UNNUMBERED, day=-6)
    _accept(story, NORTH, ENDED, day=-7, number="DE0815")
    _decide(story, incoming.ENDED, NORTH, ENDED, 30, made="relationship.ended", reason="moved to a dealer")
    story.facts[NORTH, ENDED].append(Fact(at=story.day(30), partner=False))
    _decide(story, incoming.REJECTED, NORTH, RECONSIDERED, -3, made="relationship.rejected", reason="no trade licence")
    _accept(story, NORTH, RECONSIDERED, day=15, number="13408")
    _accept(story, SOUTH, "17949", day=-8, number="0007")
    _accept(story, SOUTH, UNNUMBERED_SOUTH, day=-6)


def _others(story: Story) -> None:
    def defer(supplier: str, customer: str, day: float, until: datetime | None, reason: str | None = None) -> None:
        date = until.date().isoformat() if until else None
        made = "relationship.deferred"
        _decide(story, incoming.DEFERRED, supplier, customer, day, made=made, reason=reason, resubmission_date=date)

    _decide(story, incoming.REJECTED, NORTH, "14606", -4, made="relationship.rejected", reason="no dealer contract")
    defer(NORTH, OVERDUE, 40, story.day(35), "credit check")  # the day has passed as it is said: due at once
    defer(NORTH, CAME_DUE, 36, story.now - timedelta(days=2), "new depot")  # the worker was not there on the day
    story.reminders = {(NORTH, OVERDUE), (NORTH, CAME_DUE)}
    defer(NORTH, "16029", 2, story.now + timedelta(days=30))
    _accept(story, NORTH, "16029", day=20, number="ZM 77")  # so its reminder never comes
    defer(SOUTH, "17677", -5, None)
    defer(SOUTH, "15189", -2, story.now + timedelta(days=10))
    defer(SOUTH, "15189", 20, story.now + timedelta(days=90))


def _refused(story: Story) -> None:
    refused = "relationship.decision-refused"
    number = {"customer_number": "4711"}
    _decide(story, incoming.NUMBER_ASSIGNED, NORTH, "14606", 41, made=refused, **number)
    hidden = {"customer_number": "0007\u200b"}
    _decide(story, incoming.NUMBER_ASSIGNED, SOUTH, "17949", 41, made=refused, **hidden)
    _decide(story, incoming.DEFERRED, NORTH, RENUMBERED, 41, made=refused)
    _decide(story, incoming.ACCEPTED, NORTH, ENDED, 12, made=refused)  # older than what is known
    # A number where a text belongs: its leading zeros would be lost already.
    _decide(story, incoming.NUMBER_ASSIGNED, NORTH, HASTY, 41, made="invalid_data", customer_number=42)


def _accept(
    story: Story,
    supplier: str,
    customer: str,
    *,
    day: float,
    number: str | None = None,
    counts_from: float | None = None,
) -> Sent:
    fact = Fact(
        at=story.day(day if counts_from is None else counts_from), partner=True, number=number and number.strip()
    )
    story.facts.setdefault((supplier, customer), []).append(fact)
    made = "relationship.accepted"
    return _decide(story, incoming.ACCEPTED, supplier, customer, day, made=made, customer_number=number)


def _number(story: Story, supplier: str, customer: str, at: datetime, number: str, round_: list[Sent]) -> None:
    story.facts[supplier, customer].append(Fact(at=at, partner=True, number=number))
    data = {"supplier_id": supplier, "customer_id": customer, "decided_by": "erp", "customer_number": number}
    made = "relationship.customer-number-changed"
    round_.append(_sent(incoming.NUMBER_ASSIGNED, f"{supplier}/{customer}", data, at, made=made))


def _decide(
    story: Story, type_: str, supplier: str, customer: str, day: float, *, made: str, **more: str | int | None
) -> Sent:
    told = {name: value for name, value in more.items() if value is not None}
    data = {"supplier_id": supplier, "customer_id": customer, "decided_by": "desk", **told}
    sent = _sent(type_, f"{supplier}/{customer}", data, story.day(day), made=made)
    story.decisions.append(sent)
    return sent


def _sent(type_: str, key: str, data: Mapping[str, object], at: datetime, *, made: str | None = None) -> Sent:
    topic = CONNECTION_REQUESTS if type_ in incoming.REQUEST_TYPES else RELATIONSHIP_DECISIONS
    value = json.dumps(data, ensure_ascii=False).encode()
    event_id = f"{type_.rpartition('.')[2]}-{key.replace('/', '-')}-{at:%m%d%H%M}"
    return Sent(topic=topic, key=key, value=value, headers=attributes(event_id, type_, at), made=made)


def attributes(event_id: str, type_: str, at: datetime) -> list[tuple[str, bytes]]:
    """CloudEvents in binary mode."""
    attributes = {"id": event_id, "source": "/demo", "type": type_, "specversion": "1.0", "time": iso(at)}
    return [
        *((f"ce_{name}", text.encode()) for name, text in attributes.items()),
        ("content-type", b"application/json"),
    ]


def iso(at: datetime) -> str:
    """RFC 3339 in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def company_names() -> dict[str, str]:
    """The company behind each customer's id."""
    customers = [customer for customers in CUSTOMERS.values() for customer in customers]
    return dict(zip(customers, (row["company_name"] for row in _rows("companies.csv")), strict=True))


def _profiles() -> Iterator[dict[str, object]]:
    """Profiles of real companies, in the order of the customers; each is lent a valid VAT id of its country."""
    vat_ids: dict[str, list[str]] = {}
    for row in _rows("vat_ids.csv"):
        vat_ids.setdefault(row["country_list"], []).append(row["vat_id"])
    for row in _rows("companies.csv"):
        country = row["country_code"]
        yield {
            "company_name": row["company_name"],
            "address": {"postal_code": row["postal_code"], "city": row["city"], "country": country},
            "vat_id": vat_ids[COUNTRY_LISTS[country]].pop(0),
            "currency": row["currency"],
            "website": row["website"],
        }


def _rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((DATA / name).read_text(encoding="utf-8").splitlines()))
