"""What a desk sees of an order, from stored facts alone."""

from datetime import datetime

import pytest

from builders import minutes_after_noon, write_answer
from relationship_worker.domain.customer_numbers import Ruling, Source
from relationship_worker.domain.supplier import Settings
from relationship_worker.messages.orders import Order
from relationship_worker.messages.outgoing import Cause
from relationship_worker.messages.times import write_time
from relationship_worker.storage import answers, periods, suppliers
from relationship_worker.storage.answers import Answered
from relationship_worker.storage.database import transaction
from relationship_worker.storage.facts import Fact, remember_facts
from relationship_worker.storage.suppliers import SettingsChange, Supplier
from views.desk import NOON, SHOP, Desk, a_version

PARTNERS_OWN = Ruling(number="00042", source=Source.PARTNER, reason=None, rule=1)
MISSING = Ruling(number=None, source=Source.NONE, reason="default_missing", rule=7)


async def was_told(
    desk: Desk,
    ruling: Ruling,
    *,
    version: int | None = None,
    customer: str | None = "c-1",
    at: datetime = NOON,
    knew_change: int = 0,
) -> None:
    """Order O-1 was created at noon, and answered."""
    order = Order(b"e", "/", (), b"{}", "O-1", SHOP, customer, at, write_time(at).encode(), None, True)
    answered = Answered(
        event_key=b"k" * 16, data_hash=b"h" * 8, supplier_id=SHOP, order_id="O-1", customer_id=customer,
        answer=write_answer(order, ruling, version, caught_up=True), partition=3, offset=17, record_key=None,
        created_at=at, channel=None, knew_version=version or 0, knew_change=knew_change, open=ruling.number is None,
    )  # fmt: skip
    async with transaction(desk.database) as tx:
        await answers.remember_first(tx, [answered], period=await periods.enter(tx), now=minutes_after_noon(1))


async def has_defaults(desk: Desk, *defaults: str | None) -> None:
    """One change of settings a minute, from noon on; the first is change 1."""
    changes = [
        SettingsChange(
            supplier=Supplier(
                supplier_id=SHOP, change=n, valid_from=minutes_after_noon(n - 1),
                settings=Settings(default_customer_number=default),
            ),
            brings_default=default is not None,
            event_id=f"s-{n}",
            event_source="/portal",
        )
        for n, default in enumerate(defaults, 1)
    ]  # fmt: skip
    async with transaction(desk.database) as tx:
        await suppliers.remember_changes(tx, changes, now=minutes_after_noon(9))


async def explained(desk: Desk) -> dict:
    return (await desk.ask("explain", "--supplier", SHOP, "O-1", "--no-where", "--json")).json


async def test_a_walk_in_is_explained_without_any_relationship(desk: Desk):
    await was_told(desk, MISSING, customer=None)

    order = await explained(desk)

    assert (order["customer_id"], order["facts"]["version"]) == (None, None)
    assert order["answer"]["flags"] == ["no_customer"]
    assert order["input"] == {"topic": "orders", "partition": 3, "offset": 17}
    assert (order["output"]["partition"], order["output"]["offset"]) == (3, None)
    assert order["answered_at"] == "2026-03-02T12:01:00Z"


async def test_facts_that_do_not_give_the_answer_are_pointed_out(desk: Desk):
    await desk.remembers("c-1", ("relationship.accepted", a_version(1, number="00043")))
    await was_told(desk, PARTNERS_OWN, version=1)

    printed = await desk.ask("explain", "--supplier", SHOP, "O-1", "--no-where")

    assert not (await explained(desk))["reproduced"]
    assert "ATTENTION" in printed.out


@pytest.mark.parametrize(
    ("defaults", "number", "since"),
    [
        (["D-1"], "D-1", "s-1"),
        (["D-1", "D-1"], "D-1", "s-1"),
        (["D-1", "D-2", "D-2"], "D-2", "s-2"),
        (["D-1", "D-2", "D-1"], "D-1", "s-3"),
        (["D-1", None], None, "s-2"),
        ([None], None, None),
        ([], None, None),
    ],
)
async def test_the_default_is_the_one_in_force_with_the_event_that_brought_it(desk: Desk, defaults, number, since):
    await has_defaults(desk, *defaults)
    await was_told(desk, MISSING, at=minutes_after_noon(5), knew_change=len(defaults))

    default = (await explained(desk))["facts"]["default"]

    assert (default["customer_number"], default["event_id"]) == (number, since)


async def test_settings_that_became_known_after_the_answer_are_none_of_its_facts(desk: Desk):
    await has_defaults(desk, "D-1", "D-2")
    await was_told(desk, MISSING, at=minutes_after_noon(5), knew_change=1)

    order = await explained(desk)

    assert order["facts"]["default"]["customer_number"] == "D-1"
    assert order["today"]["answer"]["number"] == "D-2"


async def test_a_number_that_would_be_gone_today_is_not_corrected_and_says_why(desk: Desk):
    await was_told(desk, PARTNERS_OWN, version=1)

    today = (await explained(desk))["today"]

    assert (today["answer"]["number"], today["differs"]) == (None, True)
    assert today["not_told_because"] == "a correction takes no number away"


async def test_a_fact_that_is_not_held_against_the_orders_yet_is_why_no_correction_was_told(desk: Desk):
    await desk.remembers("c-1", ("relationship.accepted", a_version(1, number="00042", brings_number=True)))
    await was_told(desk, MISSING)
    new = Fact(
        supplier_id=SHOP, customer_id="c-1", version=1, change=0, valid_from=NOON, cause=Cause(b"k" * 16, "e-1", "/")
    )
    async with transaction(desk.database) as tx:
        await remember_facts(tx, [new])

    today = (await explained(desk))["today"]

    assert (today["answer"]["number"], today["differs"]) == ("00042", True)
    assert "may be on its way" in today["not_told_because"]


async def test_a_person_reads_an_order_on_a_screen_of_eighty_columns(desk: Desk):
    version = a_version(1, number="00042", decided_by="Größe " * 30, reason="weil\x1b[2J\nso " * 20)
    await desk.remembers("c-1", ("relationship.accepted", version))
    await was_told(desk, PARTNERS_OWN, version=1)

    printed = await desk.ask("explain", "--supplier", SHOP, "O-1", "--no-where")

    assert printed.code == 0
    assert all(len(line) <= 80 and line == line.rstrip() for line in printed.out.splitlines())
    assert "answer     00042 (rule 1, partner)" in printed.out
    assert "created    2026-03-02 12:00:00 UTC, channel not named" in printed.out
    assert "\x1b" not in printed.out
