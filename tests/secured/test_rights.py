"""The list of rights: with it all work goes on, and without any single one of them the work that it is for does not."""

import asyncio
import json
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError

from relationship_worker.command_line import MISSING, NOT_THERE
from relationship_worker.kafka.refusals import refusal
from relationship_worker.kafka.rights import TO_LOOK_BACK, Kind, Operation, Right, Role, rights
from relationship_worker.kafka.topics import topics_kept_longer
from roads.driving import SHOP, YESTERDAY
from secured.people import Desk, Said
from secured.work import all_told, all_works, send_all
from waiting import until


def last_line(said: Said) -> str:
    return said.err.strip().splitlines()[-1]


async def test_a_whole_road_goes_by_the_list(desk: Desk):
    """Each user with nothing but its own rights, and each by another way of saying who it is."""
    for role in (Role.INIT, Role.RUN, Role.ERP):
        await desk.allow_role(role)
    made = await desk.call("init", **desk.by_tls(who=desk.secured.clients.issue("init")))
    assert made.code == 0, made
    await desk.road.start(**desk.by_token(desk.secured.tokens.token("run")))

    await desk.road.request("anna", at=YESTERDAY)
    await desk.road.accept("anna", "00042", at=YESTERDAY)
    await desk.road.settled()
    order = await desk.road.order("O-1", "anna")

    [enriched] = await read_as_erp(desk, "enriched-orders")
    assert enriched["customer_number"]["number"] == "00042"
    assert [told.cause for told in await desk.road.told("enriched-orders", 1)] == [order]
    assert await desk.road.stop() == [0]


async def test_init_fails_without_any_one_of_its_rights(desk: Desk):
    needed = rights(Role.INIT, desk.kafka)
    to_make = [right for right in needed if right.operation is Operation.CREATE]
    others = [right for right in needed if right not in to_make]
    user = desk.by_password("init")
    await desk.allow("init", others)
    for right in to_make:  # what was allowed so far is made, and this one is the next
        said = await desk.call("init", **user)
        assert (said.code, str(right) in last_line(said)) == (MISSING, True), (right, said)
        await desk.allow("init", [right])
    assert (await desk.call("init", **user)).code == 0

    for right in others:
        await desk.take_away("init", right)

        said = await desk.call("init", **user)

        assert said.code == MISSING, (right, said)
        assert last_line(said).count(" on the ") == 1, said
        assert str(right) in last_line(said), (right, said)
        await desk.allow("init", [right])


async def test_a_start_without_some_of_its_rights_says_which(desk: Desk):
    needed = rights(Role.RUN, desk.kafka)
    of_each_kind = {right.kind: right for right in needed}
    await desk.allow("run", [right for right in needed if right not in of_each_kind.values()])
    await desk.road.init()

    worker = await desk.road.start(**desk.by_password("run"))

    assert await asyncio.wait_for(worker.wait(), 60) == MISSING
    last = (await asyncio.to_thread(desk.road.logs[-1].read_text)).strip().splitlines()[-1]
    assert last.count(" on the ") == len(of_each_kind) == 3
    assert all(str(right) in last for right in of_each_kind.values()), last


async def test_a_worker_needs_each_of_its_rights_and_goes_on_once_it_is_given_back(desk: Desk):
    """What needs the right stands still, under its name; nothing is lost or told twice by that."""
    needed = rights(Role.RUN, desk.kafka)
    await desk.allow_role(Role.RUN)
    await desk.road.init()
    await desk.road.start(**desk.by_password("run"))
    await all_works(desk, 1)
    for_work = [r for r in needed if not is_for_the_start(r)]

    for round_, right in enumerate(for_work, start=2):
        seen = len(lines(desk))
        await desk.take_away("run", right)
        await send_all(desk, round_)

        await until(f"a lane that stands still for want of {right}", partial(stopped, desk, seen, right))

        await desk.allow("run", [right])
        await all_told(desk, round_)
    for topic, count in {"enriched-orders": 1, "dead-letters": 1, "reminders": 1, "relationship-events": 3}.items():
        assert len(await desk.road.read(topic)) == count * (len(for_work) + 1), topic
    assert await desk.road.stop() == [0]


async def test_a_lane_does_not_begin_without_seeing_that_kafka_has_ended_its_last_transaction(desk: Desk):
    await desk.allow_role(Role.RUN)
    await desk.road.init()
    for right in (r for r in rights(Role.RUN, desk.kafka) if r.what_for == TO_LOOK_BACK):
        await desk.take_away("run", right)

        worker = await desk.road.start(**desk.by_password("run"))

        assert await asyncio.wait_for(worker.wait(), 60) == MISSING
        last = (await asyncio.to_thread(desk.road.logs[-1].read_text)).strip().splitlines()[-1]
        assert (last.count(" on the "), str(right) in last) == (1, True), last
        await desk.allow("run", [right])


@pytest.mark.parametrize("topic", ["orders", "connection-requests", "relationship-decisions"])
async def test_how_long_a_topic_keeps_its_records_can_not_be_seen_without_the_right_to(desk: Desk, topic: str):
    await desk.allow_role(Role.RUN)
    await desk.road.init()
    [right] = [
        r
        for r in rights(Role.RUN, desk.kafka)
        if r.operation is Operation.DESCRIBE_CONFIGS and r.name == desk.kafka.topic(topic)
    ]
    kafka = desk.connection_of(desk.by_password("run"))
    assert await topics_kept_longer(kafka, {topic: 1000}) == []

    await desk.take_away("run", right)

    with pytest.raises(KafkaError) as refused:
        await topics_kept_longer(kafka, {topic: 1000})
    assert str(right) in (await refusal(kafka, Role.RUN, refused.value) or "")


async def test_a_replay_needs_each_of_its_rights(desk: Desk):
    await desk.allow_role(Role.RUN)
    await desk.allow_role(Role.REPLAY)
    await desk.road.init()
    await desk.road.start(**desk.by_password("run"))
    user = desk.by_password("replay")

    for right in rights(Role.REPLAY, desk.kafka):
        of_input = right.operation is Operation.WRITE and right.kind is Kind.TOPIC
        topic = desk.kafka.plain(right.name) if of_input else "orders"
        partition, offset = await desk.road.raw(topic, b"no event", [], key=b"k")
        letter = f"{topic}:{partition}:{offset}"
        await until("it to be set aside", partial(is_set_aside, desk, topic, partition, offset))
        await desk.take_away("replay", right)

        said = await desk.call_apart("dead-letters", "replay", letter, "--canary", "1", **user)

        assert said.code == MISSING, (right, said)
        assert str(right) in last_line(said), (right, said)
        await desk.allow("replay", [right])
        again = await desk.call_apart("dead-letters", "replay", letter, **user)
        assert again.code in (0, NOT_THERE), again  # the letter was sent, then or now
    assert await desk.road.stop() == [0]


async def test_a_desk_needs_each_of_its_rights(desk: Desk):
    await desk.allow_role(Role.RUN)
    await desk.allow_role(Role.DESK)
    await desk.road.init()
    await desk.road.start(**desk.by_password("run"))
    await desk.road.order("O-1", "anna")
    await desk.road.told("enriched-orders", 1)
    user = desk.by_password("desk")
    calls = {
        "enriched-orders": ("explain", "--supplier", SHOP, "O-1", "--json"),
        "orders": ("shadow", "--since", "1h"),
        "dead-letters": ("dead-letters", "list"),
    }
    for right in rights(Role.DESK, desk.kafka):
        call = calls[desk.kafka.plain(right.name)]
        before = await desk.call(*call, **user)
        assert before.code == 0, before
        assert str(right) not in before.out

        await desk.take_away("desk", right)

        said = await desk.call(*call, **user)
        assert str(right) in said.out + said.err, said
        await desk.allow("desk", [right])


async def test_an_erp_needs_each_of_its_rights(desk: Desk):
    await desk.allow_role(Role.RUN)
    await desk.allow_role(Role.ERP)
    await desk.road.init()
    await desk.road.start(**desk.by_password("run"))
    await all_works(desk, 1)
    for right in rights(Role.ERP, desk.kafka):
        topic = desk.kafka.plain(right.name) if right.kind is Kind.TOPIC else "enriched-orders"
        assert len(await read_as_erp(desk, topic)) == 1

        await desk.take_away("erp", right)

        with pytest.raises((TopicAuthorizationFailedError, GroupAuthorizationFailedError)):
            await read_as_erp(desk, topic)
        await desk.allow("erp", [right])


def is_for_the_start(right: Right) -> bool:
    """What is looked at before anything begins; nothing stands still where it is taken away later."""
    return right.operation is Operation.DESCRIBE_CONFIGS or right.what_for == TO_LOOK_BACK


async def is_set_aside(desk: Desk, topic: str, partition: int, offset: int) -> bool:
    place = (topic, str(partition), str(offset))
    names = ("deadletter-topic", "deadletter-partition", "deadletter-offset")
    found = [tuple(map(told.header, names)) for told in await desk.road.read("dead-letters")]
    return any((desk.kafka.plain(of or ""), *rest) == place for of, *rest in found)


def lines(desk: Desk) -> list[str]:
    return desk.road.logs[-1].read_text().splitlines()


async def stopped(desk: Desk, seen: int, right: Right) -> bool:
    """Whether a lane has said since then that it stands still, and why."""
    found = [json.loads(line) for line in lines(desk)[seen:] if line.startswith("{")]
    return any(line["event"] == "stopped" and str(right) in line.get("reason", "") for line in found)


async def read_as_erp(desk: Desk, topic: str) -> list[dict[str, Any]]:
    """The values of a topic, read and committed by an ERP's own user."""
    consumer = AIOKafkaConsumer(
        desk.kafka.topic(topic),
        **desk.connection_of(desk.by_password("erp")).client_options(),
        group_id=f"erp-{uuid4().hex}",
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    try:
        await consumer.start()
        record = await asyncio.wait_for(consumer.getone(), 60)
        await consumer.commit()
        return [json.loads(record.value)]
    finally:
        await consumer.stop()
