"""An input on which the worker itself fails holds back the later ones of its relationship, and of no other."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from roads.driving import SHOP, YESTERDAY, Road, Told, pair
from roads.trouble import TROUBLE, broken, fixed, letters, place_of, rejected
from waiting import until
from watching import watched

NUMBER = "supplier.customer-number.assigned"
REQUESTED = "marketplace.connection.requested"


def later(minutes: float) -> Any:
    return YESTERDAY + timedelta(minutes=minutes)


async def command(road: Road, *arguments: str, expect: int = 0) -> dict[str, Any]:
    """A command about dead letters, as JSON."""
    code, out, err = await road.command("dead-letters", *arguments, "--json")
    assert code == expect, out + err
    shown: dict[str, Any] = json.loads(out)
    return shown


async def in_trouble(road: Road, customer: str = "anna") -> Told:
    """A rejection fails; behind it wait a deferral and, on the other topic, a new profile. Another customer goes on."""
    await road.start()
    await road.request(customer, at=later(0))
    await road.request("ben", at=later(0))
    await road.settled()
    await broken(road)
    await rejected(road, customer, TROUBLE, at=later(1), id_="failing")
    [letter] = await letters(road, 1)
    await road.send("supplier.connection.deferred", {**pair(customer), "reason": "later"}, at=later(2), id_="behind-1")
    await road.settled()
    await road.send(REQUESTED, {**pair(customer), "profile": {"company_name": "New"}}, at=later(3), id_="behind-2")
    await road.settled()
    await road.accept(customer, "A-1", at=later(4), id_="behind-3")
    await road.accept("ben", "B-1", at=later(4), id_="of-another")
    await road.settled()
    return letter


async def decided(road: Road, customer: str = "anna") -> list[str | None]:
    """The causes of the relationship's events, in their order."""
    told = await road.read("relationship-events")
    of = f"{SHOP}/{customer}".encode()
    return [o.cause for o in told if o.key == of and str(o.type).startswith("relationship.")][1:]


async def let_go(road: Road) -> None:
    async def nothing_is_held() -> bool:
        [row] = await road.ask("SELECT (SELECT count(*) FROM holds) + (SELECT count(*) FROM held_inputs) AS n")
        return bool(row.n == 0)

    await until("nothing to be held back", nothing_is_held)
    await road.settled()


async def test_later_inputs_of_both_topics_wait_and_those_of_others_go_on(road: Road):
    letter = await in_trouble(road)

    assert await decided(road) == []
    assert await decided(road, "ben") == ["of-another"]
    [listed] = (await command(road, "list"))["dead_letters"]
    assert listed["id"] == place_of(letter)
    assert listed["holds_back"] | {"since": None} == {
        "supplier_id": SHOP, "customer_id": "anna", "inputs": 3, "since": None, "step": "waits", "said": None,
    }  # fmt: skip
    assert len(await road.read("dead-letters")) == 1


async def test_replayed_it_goes_ahead_of_those_that_it_held_back_and_they_follow_in_order(road: Road):
    letter = await in_trouble(road)
    await fixed(road)

    said = await command(road, "replay", place_of(letter), "--by", "kim", "--why", "fixed in 1.2")
    await let_go(road)

    assert said["by_the_worker"] == [place_of(letter)]
    # Deferring a rejected customer is refused; a new request opens it again.
    assert await decided(road) == ["failing", "behind-1", "behind-2", "behind-3"]
    assert (await command(road, "list"))["dead_letters"] == []
    acts = (await command(road, "show", place_of(letter)))["acts"]
    assert [(one["act"], one["by"], one["why"]) for one in acts] == [("replayed", "kim", "fixed in 1.2")]
    assert len(await road.read("dead-letters")) == 1


async def test_discarded_it_has_no_effect_and_those_that_it_held_back_follow_in_order(road: Road):
    letter = await in_trouble(road)

    await command(road, "discard", place_of(letter), "--by", "kim", "--why", "a test of ours")
    await let_go(road)

    assert await decided(road) == ["behind-1", "behind-3"]
    code, _, err = await road.command("dead-letters", "replay", place_of(letter))
    assert code == 0, err
    assert await decided(road) == ["behind-1", "behind-3"]


async def test_replayed_too_early_it_fails_again_and_goes_on_holding_back(road: Road):
    letter = await in_trouble(road)

    said = await command(road, "replay", place_of(letter), expect=1)

    assert said["failed"][0]["id"] == place_of(letter)
    assert said["failed"][0]["why"].startswith("the worker fails on it again (CheckViolationError")
    [listed] = (await command(road, "list"))["dead_letters"]
    assert (listed["holds_back"]["inputs"], listed["holds_back"]["step"]) == (3, "waits")
    assert await decided(road) == []


async def test_edited_it_goes_through_without_a_new_worker(road: Road, tmp_path: Path):
    letter = await in_trouble(road)
    mended = tmp_path / "mended.json"
    mended.write_text(json.dumps({**pair("anna"), "reason": "no trouble", "decided_by": "desk"}))

    would = await command(road, "edit", place_of(letter), "--value", str(mended), "--why", "word", "--by", "kim")
    await command(road, "replay", place_of(letter))
    await let_go(road)

    assert would["would"]["after"] == {"state": "rejected", "version": 2, "customer_number": None}
    assert await decided(road) == ["failing", "behind-1", "behind-2", "behind-3"]


async def test_one_that_waited_may_fail_itself_and_then_holds_back_the_rest(road: Road):
    letter = await in_trouble(road)
    await rejected(road, "anna", TROUBLE, at=later(5), id_="behind-4")
    await road.accept("anna", "A-2", at=later(6), id_="behind-5")
    await road.settled()
    # What waits ends the partnership's opening: make its last input one that the table would take.
    await road.send("supplier.connection.ended", {**pair("anna"), "reason": TROUBLE}, at=later(7), id_="behind-6")
    await road.send(NUMBER, {**pair("anna"), "customer_number": "A-3"}, at=later(8), id_="behind-7")
    await road.settled()

    await command(road, "discard", place_of(letter), "--why", "a test of ours")
    [_, second] = await letters(road, 2)

    assert second.header("ce_id") == "behind-6"
    [listed] = (await command(road, "list"))["dead_letters"]
    assert (listed["id"], listed["holds_back"]["inputs"]) == (place_of(second), 1)
    await fixed(road)
    await command(road, "replay", "--reason", "processing_failed")
    await let_go(road)
    assert (await decided(road))[-2:] == ["behind-6", "behind-7"]


async def test_settings_hold_back_later_settings_and_no_relationship(road: Road):
    await road.start()
    await road.request("anna", at=later(0))
    await road.settled()
    await broken(road)
    settings = "supplier.settings.changed"
    key = SHOP.encode()
    await road.send(settings, {"supplier_id": SHOP, "default_customer_number": TROUBLE}, at=later(1), key=key)
    [letter] = await letters(road, 1)
    await road.send(settings, {"supplier_id": SHOP, "default_customer_number": "D-2"}, at=later(2), key=key)
    await road.accept("anna", None, at=later(3), id_="goes-on")
    await road.settled()
    await road.order("O-1", "anna", created_at=later(4).isoformat())
    await road.settled()

    assert await decided(road) == ["goes-on"]
    assert [o.answer["reason"] for o in await road.read("enriched-orders")] == ["partner_without_number"]
    await fixed(road)
    await command(road, "replay", place_of(letter))
    await let_go(road)

    found = await road.ask("SELECT settings ->> 'default_customer_number' AS d FROM supplier_settings ORDER BY change")
    assert [row.d for row in found] == [TROUBLE, "D-2"]

    async def the_order_is_told_what_became_known() -> bool:
        last = (await road.read("enriched-orders"))[-1]
        return bool(last.type == "order.customer-number-corrected" and last.answer["number"] == "D-2")

    await until("the order to be corrected", the_order_is_told_what_became_known)


async def test_what_waits_is_known_again_when_it_comes_twice(road: Road):
    letter = await in_trouble(road)
    await road.send("supplier.connection.deferred", {**pair("anna"), "reason": "later"}, at=later(2), id_="behind-1")
    await road.send("supplier.connection.deferred", {**pair("anna"), "reason": "other"}, at=later(2), id_="behind-1")
    await rejected(road, "anna", TROUBLE, at=later(1), id_="failing")
    await road.settled()

    reasons = [o.header("deadletter-reason") for o in await road.told("dead-letters", 2)]
    assert sorted(map(str, reasons)) == ["conflicting_event_id", "processing_failed"]
    await fixed(road)
    await command(road, "replay", place_of(letter))
    await let_go(road)
    assert await decided(road) == ["failing", "behind-1", "behind-2", "behind-3"]


async def test_an_order_of_a_held_relationship_is_answered_by_what_is_known_and_corrected_later(road: Road):
    letter = await in_trouble(road)
    await road.order("O-1", "anna", created_at=later(9).isoformat())
    [order] = await road.told("enriched-orders", 1)
    assert order.answer["number"] is None

    await command(road, "discard", place_of(letter), "--why", "a test of ours")
    await let_go(road)

    told = await road.told("enriched-orders", 2)
    assert told[1].answer["number"] == "A-1"


async def test_an_erasure_reaches_what_is_held_back(road: Road, tmp_path: Path):
    letter = await in_trouble(road)
    contacts = {"company_name": "New", "contacts": [{"name": "canary-1"}]}
    await road.send(REQUESTED, {**pair("anna"), "profile": contacts, "message": "canary-2"}, at=later(5))
    mended = tmp_path / "mended.json"
    mended.write_text(json.dumps({**pair("anna"), "reason": "canary-3"}))
    await command(road, "edit", place_of(letter), "--value", str(mended), "--why", "word")
    await road.settled()
    assert await held_with(road, "canary") == 2

    await road.send("marketplace.customer.erased", {"customer_id": "anna"}, at=later(6), key=b"any")
    await road.settled()
    assert await held_with(road, "canary") == 0
    await road.send(REQUESTED, {**pair("anna"), "message": "canary-4"}, at=later(5))  # late
    await road.settled()
    assert await held_with(road, "canary") == 0

    await command(road, "replay", place_of(letter))
    await let_go(road)
    assert (await decided(road))[0] == "failing"
    assert not any(b"canary" in (o.value or b"") for o in await road.read("relationship-events"))


async def held_with(road: Road, text: str) -> int:
    """Rows of what is held back or edited that hold a text."""
    look = f"position('{text.encode().hex()}' IN encode(value, 'hex')) > 0"
    [row] = await road.ask(
        f"""SELECT (SELECT count(*) FROM held_inputs WHERE {look})
                 + (SELECT count(*) FROM dead_letter_acts WHERE {look}) AS n""",
    )
    return int(row.n)


async def test_what_follows_is_told_once_and_in_order_whoever_is_killed(road: Road):
    worker = await road.start()
    await road.request("anna", at=later(0))
    await road.settled()
    await road.accept("anna", "N", at=later(1))
    await road.settled()
    await broken(road)
    await road.send("supplier.connection.ended", {**pair("anna"), "reason": TROUBLE}, at=later(2), id_="failing")
    [letter] = await letters(road, 1)
    # Numbers of more than a batch, each a version of its own.
    numbers = [f"N-{i}" for i in range(1200)]
    for i, number in enumerate(numbers):
        data = {**pair("anna"), "customer_number": number}
        headers = await attributes(NUMBER, f"n-{i}", later(3))
        await road.producer.send(road.prefix + "relationship-decisions", json.dumps(data).encode(), headers=headers,
                                 key=f"{SHOP}/anna".encode())  # fmt: skip
    await road.producer.flush()
    await road.settled()

    await command(road, "discard", place_of(letter), "--why", "a test of ours")
    for left in (1000, 400):

        async def has_come_so_far(left: int = left) -> bool:
            [row] = await road.ask("SELECT count(*) AS n FROM held_inputs")
            return bool(row.n <= left)

        await until(f"{left} to be left", has_come_so_far)
        worker.kill()
        await worker.wait()
        worker = await road.start()
    await let_go(road)

    told = [o for o in await road.told("relationship-events", 2 + len(numbers)) if o.type is not None]
    assert [o.data["version"] for o in told] == list(range(1, 3 + len(numbers)))
    assert [o.data["customer_number"] for o in told[2:]] == numbers


async def attributes(type_: str, id_: str, at: Any) -> list[tuple[str, bytes]]:
    found = {"id": id_, "source": "/test", "type": type_, "specversion": "1.0", "time": at.isoformat()}
    return [(f"ce_{name}", text.encode()) for name, text in found.items()]


async def test_whoever_watches_over_the_worker_sees_how_many_relationships_are_held_back(road: Road):
    await in_trouble(road)
    worker = await watched(road.logs[-1])

    async def seen() -> bool:
        return (await worker.status())["held_relationships"] == 1

    await until("one relationship to be seen held back", seen)
    await command(road, "discard", "--reason", "processing_failed", "--why", "sent anew")
    await let_go(road)

    async def seen_let_go() -> bool:
        return (await worker.status())["held_relationships"] == 0

    await until("none to be seen held back", seen_let_go)
