"""Rules that decide by themselves, from topic to topic: when they run, what they tell, and that people come first."""

from datetime import date, datetime, timedelta
from typing import Any

from roads.driving import SHOP, YESTERDAY, Road, Told, pair

MP = {"accept": {"customer_number": "MP-{customer_id}"}}
BY_VAT_ID = {"name": "by-vat-id", "when": {"country": ["DE", "AT"], "vat_id": "valid"}, "then": MP}
VAT_ID = {"address": {"country": "DE"}, "vat_id": "DE 136 695 976"}


def later(minutes: float) -> datetime:
    return YESTERDAY + timedelta(minutes=minutes)


async def set_rules(road: Road, *rules: object, at: float = 0, **others: Any) -> str:
    data = {"supplier_id": SHOP, "rules": list(rules), **others}
    id_ = await road.send("supplier.settings.changed", data, at=later(at), key=SHOP.encode())
    await road.settled()
    return id_


async def ask(road: Road, customer: str, at: float, profile: object = None) -> str:
    data = {**pair(customer), "profile": profile, "message": "guten Tag"}
    return await road.send("marketplace.connection.requested", data, at=later(at))


def of(customer: str, told: list[Told]) -> list[tuple[str | None, str | None]]:
    """What was told of a customer: type and who decided."""
    mine = [o for o in told if o.key == f"{SHOP}/{customer}".encode()]
    return [(str(o.type).removeprefix("relationship."), o.data.get("decided_by")) for o in mine]


async def test_a_request_that_a_rule_matches_is_decided_with_it_and_its_orders_carry_the_number(road: Road):
    await road.start()
    await set_rules(road, BY_VAT_ID)
    asked = await ask(road, "anna", 1, VAT_ID)
    await ask(road, "ben", 1, {"address": {"country": "DE"}})
    await road.settled()
    await road.order("O-1", "anna", at=later(2))

    told = await road.told("relationship-events", 3)

    assert of("anna", told) == [("requested", None), ("accepted", "rule:by-vat-id")]
    assert of("ben", told) == [("requested", None)]
    requested, accepted = (o for o in told if o.key == b"shop-1/anna")
    assert (requested.cause, accepted.cause) == (asked, asked)
    assert requested.header("ce_id") != accepted.header("ce_id")
    assert (accepted.data["version"], accepted.data["customer_number"]) == (2, "MP-anna")
    assert accepted.data["decided_at"] == requested.data["decided_at"]
    [order] = await road.told("enriched-orders", 1)
    assert (order.answer["number"], order.answer["source"]) == ("MP-anna", "partner")


async def test_an_order_that_was_answered_before_its_customer_was_accepted_by_rule_is_corrected(road: Road):
    await road.start()
    await set_rules(road, {"name": "all", "then": MP}, default_customer_number="90000")
    await road.order("O-1", "cleo", at=later(5))
    await road.told("enriched-orders", 1)
    asked = await ask(road, "cleo", 1)

    first, correction = await road.told("enriched-orders", 2)

    assert (first.answer["number"], correction.answer["number"]) == ("90000", "MP-cleo")
    assert (correction.type, correction.cause) == ("order.customer-number-corrected", asked)


async def test_a_decision_that_waited_for_the_request_comes_before_any_rule(road: Road):
    await road.start()
    await set_rules(road, {"name": "all", "then": MP})
    await road.send("supplier.connection.rejected", {**pair("dora"), "decided_by": "desk"}, at=later(1))
    await road.send("supplier.connection.deferred", {**pair("eve"), "decided_by": "desk"}, at=later(1))
    await road.send("supplier.customer-number.assigned", {**pair("finn"), "customer_number": "7"}, at=later(1))
    await road.settled()
    for customer in ("dora", "eve", "finn"):
        await ask(road, customer, 2)

    told = await road.told("relationship-events", 7)

    assert of("dora", told) == [("requested", None), ("rejected", "desk")]
    assert of("eve", told) == [("requested", None), ("deferred", "desk")]
    assert of("finn", told) == [("requested", None), ("decision-refused", None), ("accepted", "rule:all")]


async def test_after_a_rule_a_person_may_do_whatever_the_table_allows(road: Road):
    await road.start()
    await set_rules(
        road,
        {"name": "no", "when": {"customer_id": ["gus"]}, "then": {"reject": {"reason": "zu weit weg"}}},
        {"name": "yes", "then": MP},
    )
    for customer in ("gus", "hugo"):
        await ask(road, customer, 1)
    await road.settled()
    await road.accept("gus", "7", at=later(1))  # of the same instant
    for type_ in ("rejected", "ended"):
        await road.send(f"supplier.connection.{type_}", {**pair("hugo"), "decided_by": "desk"}, at=later(2))
    await road.settled()

    told = await road.told("relationship-events", 7)

    assert of("gus", told) == [("requested", None), ("rejected", "rule:no"), ("accepted", "desk")]
    assert [o.data["reason"] for o in told if o.key == b"shop-1/gus"] == [None, "zu weit weg", None]
    assert of("hugo", told)[1:] == [("accepted", "rule:yes"), ("decision-refused", None), ("ended", "desk")]


async def test_rules_leave_alone_what_was_asked_before_them_and_what_a_person_has_in_hand(road: Road):
    await road.start()
    for customer in ("ida", "jan"):
        await ask(road, customer, 1)
    await road.settled()
    await road.send("supplier.connection.deferred", pair("jan"), at=later(2))
    await road.settled()
    await set_rules(road, {"name": "all", "then": MP}, at=10)
    for customer in ("ida", "jan"):
        await ask(road, customer, 11, VAT_ID)
        await road.send("marketplace.customer.profile-updated", {**pair(customer), "profile": {}}, at=later(12))
    await ask(road, "kim", 9)  # comes after the rules, but was asked before them
    await ask(road, "lea", 10)
    await road.settled()
    await set_rules(road, at=13)  # switched off
    await ask(road, "max", 14)
    await road.settled()

    told = await road.read("relationship-events")

    assert of("ida", told) == [("requested", None)]
    assert of("jan", told) == [("requested", None), ("deferred", None)]
    assert of("kim", told) == [("requested", None)]
    assert of("lea", told) == [("requested", None), ("accepted", "rule:all")]
    assert of("max", told) == [("requested", None)]


async def test_an_open_request_is_looked_at_again_when_its_profile_changes(road: Road):
    await road.start()
    await set_rules(road, BY_VAT_ID)
    await set_rules(road, BY_VAT_ID, at=3, time_zone="UTC")  # the same rules, told again: they stay as old as they were
    await ask(road, "anna", 1)
    await ask(road, "ben", 1)
    await road.settled()
    updated = await road.send("marketplace.customer.profile-updated", {**pair("anna"), "profile": VAT_ID}, at=later(2))
    asked_again = await ask(road, "ben", 4, VAT_ID)

    told = await road.told("relationship-events", 4)

    for customer, cause in (("anna", updated), ("ben", asked_again)):
        assert of(customer, told) == [("requested", None), ("accepted", "rule:by-vat-id")]
        accepted = [o for o in told if o.key == f"{SHOP}/{customer}".encode()][1]
        assert accepted.cause == cause
    assert accepted.data["decided_at"] == later(4).isoformat().replace("+00:00", "Z")


async def test_who_asks_again_after_a_no_or_an_end_is_decided_again(road: Road):
    await road.start()
    await set_rules(road, {"name": "no", "then": {"reject": {"reason": "Umsatzsteuer-ID fehlt"}}})
    await ask(road, "nora", 1)
    await road.settled()
    await set_rules(road, BY_VAT_ID, at=2)
    await ask(road, "nora", 3, VAT_ID)
    await road.settled()
    await road.send("supplier.connection.ended", pair("nora"), at=later(4))
    await road.settled()
    await ask(road, "nora", 5)  # the profile is kept

    told = await road.told("relationship-events", 7)

    assert of("nora", told) == [
        ("requested", None),
        ("rejected", "rule:no"),
        ("requested", None),
        ("accepted", "rule:by-vat-id"),
        ("ended", None),
        ("requested", None),
        ("accepted", "rule:by-vat-id"),
    ]
    assert [o.data["previously_rejected"] for o in told] == [False, False, True, False, False, False, False]


async def test_a_deferral_by_rule_comes_back_on_its_day_as_any_other(road: Road):
    await road.start()
    days_ago = -10 * 24 * 60
    rule = {"name": "two-days", "then": {"defer": {"days": 2, "reason": "Bonität"}}}
    await set_rules(road, rule, at=days_ago, time_zone="UTC")
    asked = await ask(road, "olga", days_ago)

    [reminder] = await road.told("reminders", 1)

    day: date = later(days_ago).date() + timedelta(days=2)
    assert reminder.cause == asked
    assert (reminder.data["due_on"], reminder.data["version"]) == (day.isoformat(), 2)
    assert (reminder.data["reason"], reminder.data["overdue"]) == ("Bonität", False)


async def test_rules_that_make_no_sense_are_refused_as_a_whole_and_the_old_ones_stay(road: Road):
    await road.start()
    await set_rules(road, {"name": "all", "then": MP})
    wrong = await set_rules(road, {"name": "b", "when": {"country": ["UK"]}, "then": MP}, at=1, time_zone="UTC")
    text = f'{{"supplier_id": "{SHOP}", "rules": [{{"name": "c", "then": {{"reject": {{"reason": "\\udc00"}}}}}}]}}'
    await road.send("supplier.settings.changed", text.encode(), at=later(2), key=SHOP.encode())
    await road.settled()
    await ask(road, "paul", 3)

    told = await road.told("relationship-events", 4)

    first, second = (o for o in told if o.key == SHOP.encode())
    assert (first.data["decision_id"], first.data["reason"]) == (wrong, "invalid_settings")
    assert first.data["detail"].startswith("rules: rule 1 (b): when.country takes countries as two capital letters")
    assert second.data["detail"].startswith("rules: rule 1 (c): then.reject.reason takes a text")
    assert of("paul", told) == [("requested", None), ("accepted", "rule:all")]


async def test_a_rule_whose_number_cannot_be_made_decides_nothing_and_the_log_says_so(road: Road):
    await road.start()
    await set_rules(
        road, {"name": "numbered", "then": MP}, {"name": "rest", "then": {"reject": {"reason": "unbekannt"}}}
    )
    long = "customer-with-a-long-id"
    await ask(road, long, 1)
    await ask(road, "short", 1)
    await road.settled()

    told = await road.told("relationship-events", 3)

    assert of(long, told) == [("requested", None)]
    assert of("short", told) == [("requested", None), ("accepted", "rule:numbered")]
    [line] = [line for line in road.logs[0].read_text().splitlines() if "rule_skipped" in line]
    assert "numbered" in line
    assert long in line


async def test_a_number_by_rule_that_others_carry_is_flagged_as_shared(road: Road):
    await road.start()
    await set_rules(road, {"name": "one-account", "then": {"accept": {"customer_number": "70000"}}})
    await ask(road, "rita", 1)
    await road.settled()
    await ask(road, "sven", 1)

    told = await road.told("relationship-events", 4)

    shared = {o.key: o.data["shared"] for o in told if o.type == "relationship.accepted"}
    assert shared == {b"shop-1/rita": False, b"shop-1/sven": True}
