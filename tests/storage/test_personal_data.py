"""Personal data is removed on demand; numbers and decisions stay."""

import asyncio

from builders import NOON, a_version, minutes_after_noon
from relationship_worker.domain.relationship import Relationship, State
from relationship_worker.messages.outgoing import DEAD_LETTERS, RELATIONSHIP_DECISIONS, RELATIONSHIP_EVENTS, Message
from relationship_worker.storage import outbox, parked
from relationship_worker.storage.database import rows, transaction
from relationship_worker.storage.parked import ParkedDecision
from relationship_worker.storage.personal_data import erase, erased_up_to
from relationship_worker.storage.personal_data import lock as lock_data
from relationship_worker.storage.relationships import HistoryRow, Kept, lock, remember, remember_history
from storage.locks import somebody_waits_for_a_lock

PROFILE = '{"company_name":"Müller","contacts":[{"name":"A"}], "\\u0063ontacts":[{"name":"B"}],"rating": 2.10 }'
LATER = minutes_after_noon(9)
PAIRS = [("s-1", "c-1"), ("s-2", "c-1"), ("s-1", "c-2")]


async def with_three_partners(database):
    partner = Kept(
        relationship=Relationship(state=State.PARTNER, version=1, valid_from=NOON, customer_number="4711"),
        profile=PROFILE,
        profile_at=NOON,
    )
    async with transaction(database) as tx:
        await lock(tx, PAIRS)
        await remember(tx, dict.fromkeys(PAIRS, partner))
        await remember_history(
            tx,
            [
                HistoryRow(
                    pair=pair,
                    type="relationship.accepted",
                    version=a_version(1, number="4711", reason="Frau A rief an"),
                    message="Grüße, A",
                    settings_change=0,
                    event_id="e-1",
                    event_source="/",
                )
                for pair in PAIRS
            ],
            now=NOON,
        )


async def erased(database, customer, supplier, *, up_to_now=LATER):
    async with transaction(database) as tx:
        await lock_data(tx, to_erase=True)
        await erase(tx, customer, supplier, up_to=NOON, event_id="erased-1", event_source="/shop", now=up_to_now)


async def profiles(database):
    async with transaction(database) as tx:
        found = await rows(tx, "SELECT supplier_id, customer_id, profile FROM relationships")
    return {(row.supplier_id, row.customer_id): row.profile for row in found}


async def free_texts(database):
    async with transaction(database) as tx:
        found = await rows(tx, "SELECT supplier_id, customer_id, reason, message FROM relationship_history")
    return {(row.supplier_id, row.customer_id): (row.reason, row.message) for row in found}


async def test_contacts_go_and_the_rest_of_the_profile_stays_as_it_was_told(database):
    await with_three_partners(database)

    await erased(database, "c-1", "s-1")

    assert await profiles(database) == {
        ("s-1", "c-1"): '{"company_name":"Müller","rating":2.10}',
        ("s-2", "c-1"): PROFILE,
        ("s-1", "c-2"): PROFILE,
    }


async def test_an_erasure_without_a_supplier_is_of_all(database):
    await with_three_partners(database)

    await erased(database, "c-1", None)

    assert "contacts" not in (await profiles(database))["s-1", "c-1"]
    assert "contacts" not in (await profiles(database))["s-2", "c-1"]
    assert (await profiles(database))["s-1", "c-2"] == PROFILE


async def test_free_texts_go_from_the_history(database):
    await with_three_partners(database)

    await erased(database, "c-1", "s-1")

    assert await free_texts(database) == {
        ("s-1", "c-1"): (None, None),
        ("s-2", "c-1"): ("Frau A rief an", "Grüße, A"),
        ("s-1", "c-2"): ("Frau A rief an", "Grüße, A"),
    }


async def test_numbers_and_decisions_stay(database):
    await with_three_partners(database)

    await erased(database, "c-1", None)

    async with transaction(database) as tx:
        found = await lock(tx, [("s-1", "c-1")])
        [history] = await rows(
            tx,
            """SELECT customer_number, state, decided_by FROM relationship_history
               WHERE supplier_id = 's-1' AND customer_id = 'c-1'""",
        )
    assert found["s-1", "c-1"].relationship.customer_number == "4711"
    assert (history.customer_number, history.state, history.decided_by) == ("4711", "partner", "j.meier")


async def test_erasing_whom_nobody_knows_changes_nothing(database):
    await with_three_partners(database)

    await erased(database, "c-9", None)
    await erased(database, "c-2", "s-2")

    assert set((await profiles(database)).values()) == {PROFILE}


async def test_one_row_says_that_it_was_done(database):
    await erased(database, "c-1", None)

    async with transaction(database) as tx:
        [row] = await rows(tx, "SELECT * FROM erasures")
    assert tuple(row) == ("c-1", None, NOON, LATER, "erased-1", "/shop")


async def test_what_arrives_late_is_known_by_the_newest_erasure_of_the_customer_at_the_supplier(database):
    await erased(database, "c-1", "s-1")
    await erased(database, "c-2", None, up_to_now=minutes_after_noon(-5))

    async with transaction(database) as tx:
        found = await erased_up_to(tx, [*PAIRS, ("s-9", "c-2"), ("s-1", "c-3")])

    of_a_clock_ahead = minutes_after_noon(-5)  # an erasure counts up to its arrival at the most
    assert found == {("s-1", "c-1"): NOON, ("s-1", "c-2"): of_a_clock_ahead, ("s-9", "c-2"): of_a_clock_ahead}


def parked_decision(value: bytes, pair=("s-1", "c-1"), content_type=b"application/json") -> ParkedDecision:
    return ParkedDecision(
        pair=pair,
        arrived_at=NOON,
        event_key=b"k" * 16,
        topic="relationship-decisions",
        partition=0,
        offset=1,
        key=b"s-1/c-1",
        value=value,
        headers=[("content-type", content_type)],
    )


async def test_parked_decisions_wait_without_their_free_texts(database):
    envelope = b'{"id":"1","data":{"reason":"Frau A","decided_by":"desk"},"specversion":"1.0"}'
    async with transaction(database) as tx:
        await lock(tx, PAIRS)
        await parked.park(
            tx,
            [
                parked_decision(b'{"reason":"Frau A rief an", "decided_by" : "desk" }'),
                parked_decision(envelope, content_type=b"application/cloudevents+json"),
                parked_decision(b'{"reason":"Frau B"}', pair=("s-1", "c-2")),
            ],
        )

    await erased(database, "c-1", None)

    async with transaction(database) as tx:
        found = await rows(tx, "SELECT value FROM parked ORDER BY arrival")
    assert [row.value for row in found] == [
        b'{"decided_by":"desk"}',
        b'{"id":"1","data":{"decided_by":"desk"},"specversion":"1.0"}',
        b'{"reason":"Frau B"}',
    ]


async def test_what_waits_in_the_outbox_goes_out_without_it(database):
    def message(topic: str, key: bytes, value: bytes, *headers: tuple[str, bytes]) -> Message:
        return Message(topic=topic, key=key, value=value, headers=list(headers), partition=0)

    rejected, refused = ("ce_type", b"relationship.rejected"), ("ce_type", b"relationship.decision-refused")
    detail = ("deadletter-detail", b"is not JSON")
    waiting = [
        message(RELATIONSHIP_EVENTS, b"s-1/c-1", b'{"state":"rejected","reason":"Frau A"}', rejected),
        message(RELATIONSHIP_EVENTS, b"s-1/c-1", b'{"reason":"stale"}', refused),
        message(RELATIONSHIP_EVENTS, b"s-1/c-2", b'{"reason":"Frau B"}', rejected),
        message(DEAD_LETTERS, b"s-1/c-1", b'{"profile":{"vat_id":7,"contacts":[1]}}', detail),
        message(DEAD_LETTERS, b"any", b'{"customer_id":"c-1","contacts":"Frau A', detail),
        message(DEAD_LETTERS, b"any", b'{"customer_id":"c-10","contacts":"Frau C', detail),
        message(RELATIONSHIP_DECISIONS, b"s-1/c-1", b'{"customer_id":"c-1","reason":"Frau A"}'),
    ]
    async with transaction(database) as tx:
        await lock(tx, PAIRS)
        await outbox.post(tx, waiting, lanes=1)

    await erased(database, "c-1", None)

    async with transaction(database) as tx:
        found = [m for _, m in await outbox.next_messages(tx, 0, after=0, limit=10)]
    assert [m.value for m in found] == [
        b'{"state":"rejected","reason":null}',
        b'{"reason":"stale"}',
        b'{"reason":"Frau B"}',
        b'{"profile":{"vat_id":7}}',
        None,
        b'{"customer_id":"c-10","contacts":"Frau C',
        b'{"customer_id":"c-1"}',
    ]
    assert found[4].headers == [("deadletter-detail", b"is not JSON; its value held personal data that was erased")]
    assert found[5].headers == [detail]


async def test_an_erasure_waits_for_whoever_moves_personal_data_just_now(database):
    async with transaction(database) as tx:
        await lock_data(tx)
        erasing = asyncio.create_task(erased(database, "c-1", None))
        await somebody_waits_for_a_lock(database)
        await lock(tx, [("s-1", "c-1")])
        kept = Kept(relationship=Relationship(state=State.REQUESTED, version=1, valid_from=NOON), profile=PROFILE)
        await remember(tx, {("s-1", "c-1"): kept})

    await erasing
    assert "contacts" not in (await profiles(database))["s-1", "c-1"]
