"""What the commands say of orders and relationships that went through the worker."""

import json
from datetime import timedelta
from typing import Any

import pytest

from roads.driving import SHOP, YESTERDAY, Road, Told, pair
from waiting import until

DEFAULT = {"supplier_id": SHOP, "default_customer_number": "D-1"}
HOUR = timedelta(hours=1)


async def shown(road: Road, *arguments: str) -> Any:
    code, out, err = await road.command(*arguments, "--supplier", SHOP, "--json")
    assert code == 0, err
    return json.loads(out)


def place(record: Told, road: Road) -> dict[str, Any]:
    return {
        "topic": f"{road.prefix}{record.topic}",
        "partition": record.partition,
        "offset": record.offset,
        "note": None,
    }


async def test_a_partners_order_is_explained_by_the_version_that_brought_its_number(road: Road):
    await road.start()
    await road.request("anna", at=YESTERDAY)
    accepted = await road.accept("anna", "00042", at=YESTERDAY + HOUR)
    await road.order("O-1", "anna", created_at=(YESTERDAY + 2 * HOUR).isoformat(), channel="public", partition=2)
    [record] = await road.told("enriched-orders", 1)

    order = await shown(road, "explain", "O-1")

    assert order["answer"] == record.answer
    assert (order["supplier_id"], order["order_id"], order["customer_id"]) == (SHOP, "O-1", "anna")
    assert order["input"] == {"topic": f"{road.prefix}orders", "partition": 2, "offset": 0}
    assert order["output"] == place(record, road)
    version = order["facts"]["version"]
    assert (version["version"], version["customer_number"], version["decided_by"]) == (2, "00042", "desk")
    assert (version["event_id"], version["event_source"]) == (accepted, "/test")
    assert [row["rule"] for row in order["rules_not_fired"]] == [2, 3, 4, 5, 6, 7]
    assert order["reproduced"]
    assert order["corrections"] == order["correction_causes"] == order["repeated"] == []
    assert (order["today"]["answer"], order["today"]["differs"]) == (record.answer, False)


async def test_an_order_with_the_default_is_explained_by_the_change_that_brought_the_default(road: Road):
    await road.start()
    changed = await road.send("supplier.settings.changed", DEFAULT, at=YESTERDAY)
    other = {"supplier_id": SHOP, "reminder_time": "09:00", "partner_without_number": "none"}
    await road.send("supplier.settings.changed", other, at=YESTERDAY + HOUR)
    await road.order("O-1", "ben", created_at=(YESTERDAY + 2 * HOUR).isoformat(), channel="private")
    [record] = await road.told("enriched-orders", 1)

    order = await shown(road, "explain", "O-1")

    assert order["answer"] == record.answer
    assert (order["answer"]["number"], order["answer"]["rule"]) == ("D-1", 6)
    default = order["facts"]["default"]
    assert (default["customer_number"], default["event_id"]) == ("D-1", changed)
    assert order["facts"]["partner_without_number"] == "none"
    assert order["facts"]["version"] is None
    assert {"rule": 5, "reason": "the channel was private"} in order["rules_not_fired"]


async def test_a_missing_number_and_its_correction_are_explained_each_by_its_own_facts(road: Road):
    await road.start()
    await road.request("cleo", at=YESTERDAY)
    await road.order("O-1", "cleo", created_at=(YESTERDAY + HOUR).isoformat())
    await road.told("enriched-orders", 1)
    accepted = await road.accept("cleo", "C-7", at=YESTERDAY + 2 * HOUR)
    first, corrected = await road.told("enriched-orders", 2)

    order = await shown(road, "explain", "O-1")
    code, page, _ = await road.command("explain", "--supplier", SHOP, "O-1")

    assert (order["answer"]["number"], order["answer"]["reason"]) == (None, "default_missing")
    assert order["answer"] == first.answer
    assert order["corrections"] == [corrected.answer]
    [cause] = order["correction_causes"]
    assert (cause["event_id"], cause["told"]) == (accepted, True)
    assert cause["output"] == place(corrected, road)
    assert cause["facts"]["version"]["version"] == 2
    assert order["facts"]["version"]["version"] == 1
    assert (order["today"]["answer"]["number"], order["today"]["differs"]) == ("C-7", False)
    assert code == 0
    assert "no number (rule 7, none, default_missing)" in page
    assert "corrected  C-7 (rule 1, partner)" in page


async def test_a_repeated_order_is_listed_with_what_it_was_told(road: Road):
    await road.start()
    await road.order("O-1", "dora", partition=0)
    await road.settled()
    await road.order("O-1", "dora", partition=1, note="sent again")
    first, again = await road.told("enriched-orders", 2)

    order = await shown(road, "explain", "O-1")

    assert order["output"] == place(first, road)
    [repeated] = order["repeated"]
    assert repeated["answer"] == again.answer
    assert repeated["input"] == {"topic": f"{road.prefix}orders", "partition": 1, "offset": 0}
    assert repeated["output"] == place(again, road)


async def test_a_supplier_that_wants_no_corrections_still_sees_what_the_answer_would_be_today(road: Road):
    await road.send("supplier.settings.changed", {**DEFAULT, "correction_window_hours": 0}, at=YESTERDAY)
    await road.start()
    await road.request("eve", at=YESTERDAY)
    await road.settled()
    await road.order("O-1", "eve", created_at=(YESTERDAY + 2 * HOUR).isoformat())
    await road.told("enriched-orders", 1)
    await road.accept("eve", "E-1", at=YESTERDAY + HOUR)
    await road.settled()

    order = await shown(road, "explain", "O-1", "--no-where")

    assert order["answer"]["number"] == "D-1"
    assert (order["today"]["answer"]["number"], order["today"]["differs"]) == ("E-1", True)
    assert "correction_window_hours is 0" in order["today"]["not_told_because"]
    assert order["new_order"]["number"] == "E-1"
    assert order["output"]["offset"] is None


async def test_a_kafka_that_is_away_leaves_only_a_gap(road: Road):
    await road.start()
    await road.order("O-1", "finn")
    await road.told("enriched-orders", 1)

    code, out, err = await road.command("explain", "--supplier", SHOP, "O-1", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")

    assert (code, err) == (0, "")
    assert "Kafka can't be reached" in " ".join(out.split())


@pytest.mark.parametrize("more", [[], ["--json"]])
async def test_an_order_that_was_never_answered_is_not_there(road: Road, more: list[str]):
    code, out, err = await road.command("explain", "--supplier", SHOP, "O-1", *more)

    assert (code, out) == (1, "")
    assert err == f"relationship-worker: no answer to order O-1 of supplier {SHOP} is stored\n"


async def test_what_was_decided_and_what_was_refused_is_read_back(road: Road):
    await road.start()
    await road.request("gus", at=YESTERDAY, id_="r-1")
    day = {**pair("gus"), "decided_by": "desk", "reason": "erst prüfen", "resubmission_date": "2020-01-02"}
    await road.send("supplier.connection.deferred", day, at=YESTERDAY + HOUR, id_="d-1")
    await road.send("supplier.connection.ended", pair("gus"), at=YESTERDAY + 2 * HOUR, id_="d-2")
    await road.send("supplier.settings.changed", {"supplier_id": SHOP, "time_zone": "Mars"}, at=YESTERDAY, id_="s-1")
    await road.accept("early", at=YESTERDAY)
    await road.told("reminders", 1)

    async def refused() -> Any:
        found = await shown(road, "relationship", "gus")
        return found if found["refusals"] else None

    found = await until("the refusal", refused)
    overview = await shown(road, "relationships")
    code, _, err = await road.command("relationship", "--supplier", SHOP, "early")

    assert (found["state"], found["version"], found["customer_number"]) == ("deferred", 2, None)
    assert (found["resubmission_date"], found["overdue"]) == ("2020-01-02", True)
    assert [(v["type"], v["event_id"], v["decided_by"]) for v in found["history"]] == [
        ("relationship.requested", "r-1", None),
        ("relationship.deferred", "d-1", "desk"),
    ]
    [refusal] = found["refusals"]
    assert (refusal["event_id"], refusal["reason"], refusal["state"], refusal["version"]) == (
        "d-2", "not_a_partner", "deferred", 2,
    )  # fmt: skip
    assert [row["customer_id"] for row in overview["relationships"]] == ["gus"]
    assert overview["relationships"][0]["open_since"] == found["history"][0]["valid_from"]
    assert (code, "1 decision waits" in err) == (1, True)
