"""The commands about dead letters, on what went through the worker: find, show, correct, replay, give up."""

import asyncio
import json
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from roads.driving import DECISIONS, ORDER_CREATED, ORDERS, SHOP, YESTERDAY, Road, pair
from roads.trouble import TROUBLE, broken, fixed, letters, place_of
from waiting import until

ACCEPTED = "supplier.connection.accepted"


async def command(road: Road, *arguments: str, expect: int = 0) -> Any:
    """A command about dead letters, as JSON."""
    code, out, err = await road.command("dead-letters", *arguments, "--json")
    assert code == expect, out + err
    return json.loads(out)


async def listed(road: Road, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await command(road, "list", *arguments))["dead_letters"]
    return found


async def bad_order(road: Road, order_id: str, **more: Any) -> str:
    """An order whose customer is a number; its event's id."""
    data = {"order_id": order_id, "supplier_id": SHOP, "customer_id": 42, "ship_to": {"name": "canary"}}
    return await road.send(ORDER_CREATED, data, key=order_id.encode(), **more)


def a_file(folder: Path, content: Any) -> str:
    path = folder / "mended.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


async def test_the_list_says_what_why_and_whose_and_is_filtered_and_paged(road: Road):
    await road.start()
    for n in range(5):
        await bad_order(road, f"O-{n}")
    await road.send(ACCEPTED, b"{", key=b"shop-2/anna")
    await road.send(ORDER_CREATED, b"", key=b"k")
    await road.told("dead-letters", 7)

    found = await listed(road)
    assert Counter((one["topic"], one["reason"], one["supplier_id"]) for one in found) == {
        (ORDERS, "invalid_data", SHOP): 5,
        (DECISIONS, "invalid_json", "shop-2"): 1,
        (ORDERS, "empty_value", None): 1,
    }
    assert {(one["state"], one["holds_back"]) for one in found} == {("open", None)}
    assert [one["since"] for one in found] == sorted(one["since"] for one in found)
    assert len(await listed(road, "--topic", ORDERS)) == 6
    assert len(await listed(road, "--reason", "invalid_json")) == 1
    assert len(await listed(road, "--supplier", SHOP)) == 5
    assert await listed(road, "--supplier", "shop-9") == []

    ids, after = [], []
    for _ in range(4):
        page = await command(road, "list", "--limit", "2", *after)
        ids += [one["id"] for one in page["dead_letters"]]
        after = ["--after", str(page["next"])]
    assert page["next"] is None
    assert ids == [one["id"] for one in found]


async def test_what_is_not_there_is_said_in_one_line(road: Road, tmp_path: Path):
    nowhere = "orders:0:99"
    for arguments in (
        ("show", nowhere),
        ("replay", nowhere),
        ("discard", nowhere, "--why", "x"),
        ("edit", nowhere, "--why", "x", "--value", a_file(tmp_path, "{}")),
    ):
        code, out, err = await road.command("dead-letters", *arguments)
        assert (code, out) == (1, ""), (arguments, err)
        assert f"there is no dead letter {nowhere}" in err
        assert len(err.strip().splitlines()) == 1
    code, _, err = await road.command("dead-letters", "replay")
    assert (code, "which?" in err) == (2, True)
    code, out, err = await road.command("dead-letters", "go-on", "orders:7")
    assert (code, out, len(err.strip().splitlines())) == (1, "", 1)
    assert "does not stand still" in err


async def test_a_letter_is_shown_without_what_may_be_personal_unless_it_is_to_be_revealed(road: Road):
    await road.start()
    await bad_order(road, "O-1", **{"x-signed": "canary"})
    [letter] = await road.told("dead-letters", 1)

    masked = await command(road, "show", place_of(letter))
    revealed = await command(road, "show", place_of(letter), "--reveal")
    _, page, _ = await road.command("dead-letters", "show", place_of(letter))

    assert masked["value"] == {"order_id": "O-1", "supplier_id": SHOP, "customer_id": 42, "ship_to": {"name": "•••"}}
    assert dict(masked["headers"])["x-signed"] == "•••"
    assert "canary" not in json.dumps(masked) + page
    assert "customer_id: 42" in page
    assert json.loads(revealed["value"])["ship_to"] == {"name": "canary"}
    assert dict(revealed["headers"])["x-signed"] == "canary"
    assert not any(name.startswith("deadletter-") for name, _ in revealed["headers"])


async def test_an_order_is_corrected_tried_and_replayed_to_its_place_with_its_own_key_and_id(
    road: Road, tmp_path: Path
):
    await road.start()
    id_ = await bad_order(road, "O-1", partition=2)
    [letter] = await road.told("dead-letters", 1)
    place = place_of(letter)
    [before] = (await command(road, "replay", place, "--dry-run", expect=1))["would"]
    mended = a_file(tmp_path, {"order_id": "O-1", "supplier_id": SHOP, "customer_id": "anna"})

    edited = await command(road, "edit", place, "--value", mended, "--why", "ids are texts", "--by", "kim")
    [would] = (await command(road, "replay", place, "--dry-run"))["would"]
    assert await road.read("enriched-orders") == []
    replayed = await command(road, "replay", place, "--canary", "1")

    assert before["outcome"] == "dead letter again"
    assert before["why"].startswith("invalid_data")
    assert would == {"id": place, **edited["would"]}
    assert (would["outcome"], would["answer"]["number"]) == ("answered", None)
    assert (replayed["sent"], replayed["unwatched"], replayed["dealt_with"]) == ([place], 0, [])
    [order] = await road.told("enriched-orders", 1)
    assert (order.cause, order.key, order.partition) == (id_, b"O-1", 2)
    assert await listed(road) == []
    [done] = await listed(road, "--all")
    assert done["state"] == "replayed"
    shown = await command(road, "show", place, "--reveal")
    assert json.loads(shown["value"])["customer_id"] == 42  # the original stays
    [edit, replay] = shown["acts"]
    assert (edit["act"], edit["by"], edit["why"], replay["act"]) == ("edited", "kim", "ids are texts", "replayed")
    again = await command(road, "replay", place)
    assert (again["sent"], again["failed"], again["dealt_with"]) == ([], [], [place])
    await road.settled()
    assert len(await road.read("enriched-orders")) == 1


async def test_a_header_is_corrected_and_the_rest_of_the_record_stays_byte_for_byte(road: Road, tmp_path: Path):
    await road.start()
    value = b'{ "order_id":"O-1","supplier_id":"shop-1","x": 1.10 }'
    await road.send("marketplace.order.created", value, key=None, partition=1, **{"content-type": "text/plain"})
    [letter] = await road.told("dead-letters", 1)

    headers = a_file(tmp_path, {"content-type": "application/json"})
    await command(road, "edit", place_of(letter), "--headers", headers, "--why", "wrong type")
    await command(road, "replay", place_of(letter))

    [order] = await road.told("enriched-orders", 1)
    assert (order.key, order.partition) == (None, 1)
    assert order.value is not None
    assert value in order.value


async def test_when_the_first_does_not_go_through_the_rest_stays(road: Road):
    await road.start()
    for n in range(3):
        await bad_order(road, f"O-{n}", partition=0)
    await road.told("dead-letters", 3)

    outcome = await command(road, "replay", "--topic", ORDERS, "--canary", "1", expect=1)

    assert len(outcome["sent"]) == 1
    assert outcome["failed"][0]["id"] == outcome["sent"][0]
    assert outcome["failed"][0]["why"].startswith("invalid_data")
    assert outcome["left"] == 2
    assert len(await listed(road)) == 3  # two, and the first one anew


async def test_a_discarded_letter_is_gone_from_the_list_and_can_not_be_replayed(road: Road):
    await road.start()
    await bad_order(road, "O-1")
    [letter] = await road.told("dead-letters", 1)

    gone = await command(road, "discard", place_of(letter), "--why", "a test of theirs", "--by", "kim")

    assert gone == {"discarded": [place_of(letter)]}
    assert await listed(road) == []
    assert (await command(road, "replay", place_of(letter)))["sent"] == []
    code, _, err = await road.command("dead-letters", "discard", place_of(letter), "--why", "again")
    assert (code, "is discarded by kim" in err) == (1, True)


async def test_a_decision_without_its_request_is_replayed_once_the_request_is_there(road: Road):
    road.settings["RELATIONSHIP_WORKER_PARKED_HOURS"] = str(1 / 3600)
    await road.start()
    data = {**pair("anna"), "customer_number": "7"}
    accepted = await road.send(ACCEPTED, data, at=YESTERDAY + timedelta(minutes=1))
    [letter] = await road.told("dead-letters", 1)
    await road.request("anna")
    await road.settled()

    [would] = (await command(road, "replay", "--supplier", SHOP, "--dry-run"))["would"]
    await command(road, "replay", place_of(letter), "--canary", "1")

    assert (would["before"]["state"], would["after"]["state"]) == ("requested", "partner")
    assert would["events"] == ["relationship.accepted"]
    told = await road.told("relationship-events", 2)
    assert (told[1].cause, told[1].data["customer_number"]) == (accepted, "7")


async def test_an_order_on_which_the_worker_failed_holds_back_no_order_and_is_replayed_by_a_mended_one(road: Road):
    await road.start()
    await broken(road)
    failing = await road.order(TROUBLE, "anna", key=b"k", partition=0)
    behind = await road.order("O-2", "anna", key=b"k", partition=0)
    [letter] = await letters(road, 1)
    [order] = await road.told("enriched-orders", 1)
    assert order.cause == behind
    assert (await listed(road))[0]["holds_back"] is None

    await fixed(road)
    await command(road, "replay", place_of(letter))

    told = await road.told("enriched-orders", 2)
    assert (told[1].cause, told[1].key) == (failing, b"k")


async def many_letters(road: Road, count: int) -> None:
    """Dead letters that no id recognises; no worker runs any more."""
    await road.start()
    for n in range(count):
        await road.producer.send(road.prefix + ORDERS, b"{ %d" % n, partition=n % 4, key=b"k")
    await road.producer.flush()
    await road.told("dead-letters", count)
    assert await road.stop() == [0]


async def replay_process(road: Road) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "relationship_worker", "dead-letters", "replay", "--topic", ORDERS,
        env=road.environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip


def each_twice(count: int) -> dict[bytes, int]:
    return {b"{ %d" % n: 2 for n in range(count)}


async def orders_of(road: Road) -> dict[bytes | None, int]:
    return Counter(o.value for o in await road.read(ORDERS))


async def test_each_is_replayed_once_and_in_order_however_often_the_command_is_killed(road: Road):
    count = 1_000  # some transactions' worth
    await many_letters(road, count)

    for so_far in (1, 300, 600):
        process = await replay_process(road)

        async def has_sent(so_far: int = so_far) -> bool:
            return len(await road.read(ORDERS, isolation="read_uncommitted")) >= count + so_far

        await until(f"{so_far} to be replayed", has_sent)
        process.kill()
        await process.wait()
    await command(road, "replay", "--topic", ORDERS)

    assert await orders_of(road) == each_twice(count)
    assert await listed(road) == []
    for partition in range(4):
        values = [o.value for o in await road.read(ORDERS) if o.partition == partition]
        assert values[: len(values) // 2] == values[len(values) // 2 :]


async def test_two_who_replay_at_once_send_each_letter_once(road: Road):
    count = 800
    await many_letters(road, count)

    processes = [await replay_process(road) for _ in range(2)]
    codes = [await process.wait() for process in processes]
    await command(road, "replay", "--topic", ORDERS)

    assert set(codes) <= {0, 3}  # the later one fences the other off
    assert await orders_of(road) == each_twice(count)


async def test_a_partition_of_which_most_is_bad_stands_still_until_a_person_lets_it_go_on(road: Road):
    road.settings |= {"RELATIONSHIP_WORKER_BREAKER_PERCENT": "50", "RELATIONSHIP_WORKER_BREAKER_RECORDS": "20"}
    worker = await road.start()
    for n in range(10):
        await road.order(f"good-{n}", partition=0)
    for _ in range(11):
        await road.send(ORDER_CREATED, b"{", key=b"k", partition=0)
    await road.told("dead-letters", 11)

    async def stands_still() -> Any:
        return (await command(road, "list"))["stopped"]

    [stopped] = await until("the partition to stand still", stands_still)
    await road.order("behind", partition=0)
    await road.order("elsewhere", partition=1)
    told = await road.told("enriched-orders", 11)
    worker.terminate()
    await worker.wait()
    await road.start()  # a restart lets nothing go on
    await road.order("elsewhere-2", partition=1)
    told = await road.told("enriched-orders", 12)

    assert (stopped["topic"], stopped["partition"], stopped["bad"], stopped["of"]) == (ORDERS, 0, 11, 20)
    assert "behind" not in [o.key.decode() for o in told if o.key]
    assert f"{ORDERS}:0: 11 of the last 20 records were dead letters" in road.logs[0].read_text()
    await command(road, "go-on", f"{ORDERS}:0")
    assert "behind" in [o.key.decode() for o in await road.told("enriched-orders", 13) if o.key]


async def test_without_the_setting_bad_input_stops_nothing(road: Road):
    await road.start()
    for _ in range(300):
        await road.producer.send(road.prefix + ORDERS, b"{", partition=0, key=b"k")
    await road.producer.flush()
    await road.order("behind", partition=0)

    await road.told("enriched-orders", 1)
    assert (await command(road, "list", "--limit", "1"))["stopped"] == []
