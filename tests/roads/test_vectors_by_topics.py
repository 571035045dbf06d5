"""The published vectors, played through topics: what an ERP team runs against its mapping is what the worker does.

Each vector has a supplier of its own, so that all of them are played side by side, in rounds: what lies on two topics has
no order between them.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.published import vectors
from relationship_worker.messages.times import read_time
from roads.driving import Road, Told
from waiting import until

REQUESTED, WITHDRAWN = "marketplace.connection.requested", "marketplace.connection.withdrawn"
ACCEPTED, REJECTED = "supplier.connection.accepted", "supplier.connection.rejected"
DEFERRED, ENDED = "supplier.connection.deferred", "supplier.connection.ended"
ASSIGNED, SETTINGS = "supplier.customer-number.assigned", "supplier.settings.changed"
CUSTOMER = "K-1"
INTO = {
    "requested": REQUESTED,
    "withdrawn": WITHDRAWN,
    "partner": ACCEPTED,
    "rejected": REJECTED,
    "deferred": DEFERRED,
    "ended": ENDED,
}
WAYS = {  # to a state with so many versions; those by a rejection carry its flag
    ("none", 0): [],
    ("requested", 1): ["requested"],
    ("partner", 2): ["requested", "partner"],
    ("rejected", 2): ["requested", "rejected"],
    ("deferred", 2): ["requested", "deferred"],
    ("withdrawn", 2): ["requested", "withdrawn"],
    ("ended", 3): ["requested", "partner", "ended"],
    ("requested", 3): ["requested", "rejected", "requested"],
    ("deferred", 4): ["requested", "rejected", "requested", "deferred"],
    ("withdrawn", 5): ["requested", "rejected", "requested", "deferred", "withdrawn"],
}
SPARE = timedelta(seconds=30)  # on the safe side of a bound that moves with the clock


class Play:
    """Inputs by rounds, then what came of each."""

    def __init__(self, road: Road) -> None:
        self._road = road
        self._rounds: dict[int, list[tuple[str, dict[str, Any], datetime]]] = defaultdict(list)
        self.sent: dict[tuple[str, int], str] = {}  # (supplier, round) → the id of its input

    def add(self, round_: int, supplier: str, type_: str, at: datetime | str, **data: Any) -> None:
        when = read_time(at) if isinstance(at, str) else at
        self._rounds[round_].append((type_, {"supplier_id": supplier, **data}, when))

    async def go(self) -> None:
        for round_, inputs in sorted(self._rounds.items()):
            for type_, data, at in inputs:
                supplier = data["supplier_id"]
                key = f"{supplier}/{data['customer_id']}" if "customer_id" in data else supplier
                self.sent[supplier, round_] = await self._road.send(type_, data, at=at, key=key.encode())
            await self._road.settled()
        await self._road.all_told()
        self._rounds.clear()

    async def told(self, topic: str) -> dict[str, list[Told]]:
        """Records of an output topic by what caused them."""
        found: dict[str, list[Told]] = defaultdict(list)
        for record in await self._road.read(topic):
            found[record.cause or ""].append(record)
        return found


def numbered(name: str, letter: str) -> Iterable[tuple[str, dict[str, Any]]]:
    """(supplier, vector) of a published file."""
    return [(f"{letter}{n}", vector) for n, vector in enumerate(vectors(name))]


def misfits(found: dict[str, tuple[object, object]]) -> dict[str, tuple[object, object]]:
    """Of (told, published) by the vector's name, those that are not the same."""
    return {name: pair for name, pair in found.items() if pair[0] != pair[1]}


async def test_every_order_of_the_decision_table_is_answered_as_published(road: Road):
    await road.start()
    play = Play(road)
    caught_up = [(s, v) for s, v in numbered("decision-table", "D") if v["given"].get("decisions_caught_up", True)]
    for supplier, vector in caught_up:
        given = vector["given"]
        customer = given["order"]["customer_id"]
        for n, change in enumerate(given["settings"]):
            said = {name: value for name, value in change.items() if name != "valid_from"}
            play.add(n, supplier, SETTINGS, change["valid_from"], **said)
        before = {"state": "none", "customer_number": None}
        for n, version in enumerate(given["relationship"], len(given["settings"])):
            number = {} if version["state"] != "partner" else {"customer_number": version["customer_number"]}
            same_state = before["state"] == version["state"] == "partner"
            type_ = ASSIGNED if same_state else INTO[version["state"]]
            play.add(n, supplier, type_, version["valid_from"], customer_id=customer, **number)
            before = version
    await play.go()
    for supplier, vector in caught_up:
        given = vector["given"]
        order = {**given["order"], "supplier_id": supplier}
        play.add(0, supplier, "marketplace.order.created", given.get("event_time", "2026-06-01T00:00:00Z"), **order)
    await play.go()

    answers = {record.header("ce_supplierid"): record.answer for record in await road.read("enriched-orders")}
    found = {v["name"]: (_sorted_flags(answers[s]), _sorted_flags(v["answer"])) for s, v in caught_up}
    assert len(found) >= 100
    assert misfits(found) == {}


def _sorted_flags(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "flags": sorted(answer["flags"])}


async def test_every_input_of_the_transition_table_becomes_what_is_published(road: Road):
    await road.start()
    play = Play(road)
    all_ = numbered("transition-table", "T")
    last = max(map(len, WAYS.values()))
    for supplier, vector in all_:
        given = vector["given"]
        way = WAYS[given["state"], given["version"]]
        for n, state in enumerate(way):
            at = read_time(given["valid_from"]) - (timedelta(0) if n == len(way) - 1 else timedelta(hours=len(way) - n))
            number = {"customer_number": given["customer_number"]} if state == "partner" else {}
            play.add(n, supplier, INTO[state], at, customer_id=CUSTOMER, **number)
        told = vector["input"]
        play.add(last, supplier, told["type"], _as_ahead(vector), customer_id=CUSTOMER, **told["data"])
    await play.go()
    events = await play.told("relationship-events")
    found = {v["name"]: (_outcome(v, events[play.sent[s, last]]), _published(v)) for s, v in all_}
    assert misfits(found) == {}

    parked = [(s, v) for s, v in all_ if v["then"]["outcome"] == "parked"]
    waiting = {supplier: play.sent[supplier, last] for supplier, _ in parked}
    for supplier, _ in parked:
        play.add(0, supplier, REQUESTED, "2026-02-03T08:00:00Z", customer_id=CUSTOMER)
    await play.go()
    events = await play.told("relationship-events")
    assert [supplier for supplier, id_ in waiting.items() if len(events[id_]) != 1] == []


def _as_ahead(vector: dict[str, Any]) -> datetime:
    """The input's time; where the clock counts, as far ahead of it as in the vector, with something to spare."""
    at = read_time(vector["input"]["time"])
    if "now" not in vector["given"]:
        return at
    spare = SPARE if vector["then"]["outcome"] == "refused" else -SPARE
    return datetime.now(UTC) + (at - read_time(vector["given"]["now"])) + spare


def _outcome(vector: dict[str, Any], events: list[Told]) -> dict[str, Any]:
    if not events:
        return {"outcome": "parked" if vector["given"]["state"] == "none" else "unchanged"}
    [event] = events
    if event.type == "relationship.decision-refused":
        return {"outcome": "refused", "reason": event.data["reason"]}
    names = ("state", "version", "customer_number", "previously_rejected")
    told = {name: event.data[name] for name in names if name in event.data}
    return {"outcome": "changed", "event": event.type, **told}


def _published(vector: dict[str, Any]) -> dict[str, Any]:
    """As the event says it: a number counts only of a partner, and a change of number names no state."""
    then = dict(vector["then"])
    if then.get("event") == "relationship.customer-number-changed":
        del then["state"], then["previously_rejected"]
    elif then["outcome"] == "changed" and then["state"] != "partner":
        then["customer_number"] = None
    return then


async def test_every_customer_number_is_kept_or_refused_as_published(road: Road):
    await road.start()
    play = Play(road)
    all_ = numbered("customer-numbers", "N")
    at = "2026-02-01T08:00:00Z"
    for supplier, vector in all_:
        given = vector["given"]
        play.add(0, supplier, SETTINGS, at, customer_number_max_length=given["max_length"])
        play.add(0, supplier, REQUESTED, at, customer_id=CUSTOMER)
        play.add(1, supplier, ACCEPTED, at, customer_id=CUSTOMER, customer_number="#")
        play.add(2, supplier, ASSIGNED, at, customer_id=CUSTOMER, customer_number=given["text"])
    await play.go()

    events = await play.told("relationship-events")
    found: dict[str, tuple[object, object]] = {}
    for supplier, vector in all_:
        [event] = events[play.sent[supplier, 2]]
        told = event.data.get("reason") or event.data.get("customer_number")
        found[vector["name"]] = (told, vector["refused"] if "refused" in vector else vector["kept"])
    assert misfits(found) == {}


async def test_every_resubmission_date_is_due_or_refused_as_published(road: Road):
    await road.start()
    play = Play(road)
    all_ = numbered("resubmission-dates", "R")
    for supplier, vector in all_:
        given = vector["given"]
        zone = {name: given[name] for name in ("time_zone", "reminder_time")}
        play.add(0, supplier, SETTINGS, "2001-01-01T00:00:00Z", **zone)
        play.add(0, supplier, REQUESTED, given["deferred_at"], customer_id=CUSTOMER)
        day = {"resubmission_date": given["resubmission_date"]}
        play.add(1, supplier, DEFERRED, given["deferred_at"], customer_id=CUSTOMER, **day)
    await play.go()
    now = datetime.now(UTC)
    dated = [(s, v) for s, v in all_ if v["then"].get("due_at")]
    due = [(s, v) for s, v in dated if read_time(v["then"]["due_at"]) < now]
    refused = [(s, v) for s, v in all_ if "refused" in v["then"]]

    async def all_told() -> bool:
        return len(await road.read("reminders")) >= len(due)

    await until("all reminders that are due", all_told)
    events, reminders = await play.told("relationship-events"), await play.told("reminders")
    found: dict[str, tuple[object, object]] = {}
    for supplier, vector in due:
        [told] = reminders[play.sent[supplier, 1]]
        found[vector["name"]] = ({name: told.data[name] for name in ("due_at", "overdue")}, vector["then"])
    for supplier, vector in refused:
        [told] = events[play.sent[supplier, 1]]
        found[vector["name"]] = (told.data["reason"], vector["then"]["refused"])
    assert misfits(found) == {}
    assert sum(map(len, reminders.values())) == len(due) > 20
    assert len(refused) >= 20


async def test_every_request_is_decided_by_a_suppliers_rules_as_published(road: Road):
    await road.start()
    play = Play(road)
    all_ = numbered("own-rules", "W")
    for supplier, vector in all_:
        given = vector["given"]
        rules = {"rules": given["rules"], **given.get("settings", {})}
        play.add(0, supplier, SETTINGS, "2026-01-01T00:00:00Z", **rules)
        asked = {"customer_id": given["customer_id"], "profile": given["profile"]}
        play.add(1, supplier, REQUESTED, given["requested_at"], **asked)
    await play.go()

    events = await play.told("relationship-events")
    found: dict[str, tuple[object, object]] = {}
    for supplier, vector in all_:
        [refused, decided] = [events[play.sent[supplier, round_]] for round_ in (0, 1)]
        assert decided[0].type == "relationship.requested"
        names = ("state", "decided_by", "reason", "resubmission_date", "customer_number")
        told: dict[str, Any] = {"outcome": "open"}
        if refused:
            told = {"outcome": "refused", "reason": refused[0].data["reason"], "detail": refused[0].data["detail"]}
        elif len(decided) > 1:
            told = {"outcome": "decided", **{name: decided[1].data[name] for name in names}}
        published = {name: value for name, value in vector["then"].items() if name != "skipped"}
        found[vector["name"]] = (told, published)
    assert misfits(found) == {}


async def test_every_order_is_told_anew_as_facts_become_known_as_published(road: Road):
    await road.start()
    play = Play(road)
    all_ = numbered("corrections", "C")
    of_orders = max(vector["given"]["answer_knew"] for _, vector in all_)  # the round in which all orders come
    for supplier, vector in all_:
        given = vector["given"]
        before = "none"
        for n, fact in enumerate(given["facts"], 1):
            round_ = of_orders - given["answer_knew"] + n - (n <= given["answer_knew"])
            if "settings" in fact:
                said = {name: value for name, value in fact["settings"].items() if name != "valid_from"}
                play.add(round_, supplier, SETTINGS, fact["settings"]["valid_from"], **said)
                continue
            version = fact["relationship"]
            type_ = ASSIGNED if before == version["state"] == "partner" else INTO[version["state"]]
            brought = {"customer_number": version["customer_number"]}
            said = brought if version["brings_number"] or type_ == ASSIGNED else {}
            customer = given["order"]["customer_id"]
            play.add(round_, supplier, type_, version["valid_from"], customer_id=customer, **said)
            before = version["state"]
        order = {**given["order"], "supplier_id": supplier}
        play.add(of_orders, supplier, "marketplace.order.created", "2026-06-01T00:00:00Z", **order)
    await play.go()
    due = sum(len(vector["corrections"]) for _, vector in all_)

    async def all_told() -> bool:
        to_tell = await road.corrections_to_tell()
        told = [r for r in await road.read("enriched-orders") if r.type == "order.customer-number-corrected"]
        return to_tell is not None and len(told) == to_tell

    await until("all facts to be followed up", all_told)
    told = defaultdict(list)
    for record in await road.read("enriched-orders"):
        told[record.header("ce_supplierid")].append(record)
    found: dict[str, tuple[object, object]] = {}
    for supplier, vector in all_:
        first, *corrections = told[supplier]
        published = [_sorted_flags(vector["answer"]), *(_sorted_flags(c["answer"]) for c in vector["corrections"])]
        found[vector["name"]] = ([_sorted_flags(record.answer) for record in (first, *corrections)], published)
    assert misfits(found) == {}
    assert due > 60
