"""Suppliers' settings: the newest under their lock, and those of any instant."""

import asyncio
from datetime import datetime, time, timedelta

from builders import NOON, minutes_after_noon
from relationship_worker.domain.own_rules import Accept, Defer, Reject, Rule, VatId
from relationship_worker.domain.supplier import BUILT_IN, PartnerWithoutNumber, PublicCatalogue, Settings
from relationship_worker.storage.database import run, transaction
from relationship_worker.storage.suppliers import (
    SettingsChange,
    Supplier,
    lock,
    remember_changes,
    settings_as_of,
    settings_history,
)
from storage.locks import somebody_waits_for_a_lock

INSTANT = timedelta(microseconds=1)


def with_default(number: str | None) -> Settings:
    return Settings(default_customer_number=number)


def a_change(
    change: int, settings: Settings = BUILT_IN, *, at: datetime = NOON, supplier: str = "s-1"
) -> SettingsChange:
    new = Supplier(supplier_id=supplier, change=change, valid_from=at, settings=settings)
    return SettingsChange(supplier=new, brings_default=False, event_id="e-1", event_source="/portal")


async def changed(database, *changes):
    async with transaction(database) as tx:
        await lock(tx, {c.supplier.supplier_id for c in changes}, to_change=True)
        await remember_changes(tx, changes, now=NOON)


async def newest(database, *suppliers, to_change=False):
    async with transaction(database) as tx:
        return await lock(tx, suppliers, to_change=to_change)


async def as_of(database, *instants, supplier="s-1"):
    async with transaction(database) as tx:
        history = await settings_history(tx, [supplier])
    return [settings_as_of(history[supplier], when).default_customer_number for when in instants]


async def test_a_supplier_that_never_said_anything_has_the_built_in_settings(database):
    assert await newest(database, "s-1") == {"s-1": Supplier(supplier_id="s-1")}


async def test_all_settings_are_remembered(database):
    settings = Settings(
        default_customer_number="Ü 0042",
        time_zone="America/New_York",
        reminder_time=time(6, 30),
        partner_without_number=PartnerWithoutNumber.NONE,
        public_catalogue=PublicCatalogue.DEFAULT_ALWAYS,
        customer_number_max_length=64,
        correction_window_hours=0,
    )

    await changed(database, a_change(1, settings))

    assert await newest(database, "s-1") == {
        "s-1": Supplier(supplier_id="s-1", change=1, valid_from=NOON, settings=settings)
    }


async def test_all_rules_are_remembered_and_since_when_they_are_what_they_are(database):
    rules = (
        Rule(
            name="neighbours",
            then=Accept(customer_number="Ü-{customer_id}"),
            country=frozenset({"DE", "AT"}),
            currency=frozenset({"EUR"}),
            vat_id=VatId.VALID,
            customer_id=frozenset({"c-1"}),
        ),
        Rule(name="numberless", then=Accept()),
        Rule(name="no", then=Reject(reason="„no“"), vat_id=VatId.PRESENT),
        Rule(name="later", then=Defer(days=14)),
    )
    new = Supplier(
        supplier_id="s-1",
        change=1,
        valid_from=NOON,
        settings=Settings(rules=rules, time_zone="UTC"),
        rules_since=NOON - INSTANT,
    )

    await changed(database, SettingsChange(supplier=new, brings_default=False, event_id="e-1", event_source="/portal"))

    assert await newest(database, "s-1") == {"s-1": new}


async def test_settings_that_were_written_before_there_were_rules_have_none(database):
    await changed(database, a_change(1, with_default("1")))
    async with transaction(database) as tx:
        for table in ("suppliers", "supplier_settings"):
            await run(tx, f"UPDATE {table} SET settings = settings - 'rules' - 'rules_since'", {})

    assert (await newest(database, "s-1"))["s-1"] == a_change(1, with_default("1")).supplier
    assert await as_of(database, NOON) == ["1"]


async def test_of_several_changes_the_last_is_the_newest(database):
    await changed(database, a_change(2, with_default("2")), a_change(1, with_default("1")))
    await changed(database, a_change(3, with_default("3"), at=minutes_after_noon(1)))

    found = await newest(database, "s-1")

    assert (found["s-1"].change, found["s-1"].settings.default_customer_number) == (3, "3")


async def test_suppliers_are_apart(database):
    await changed(database, a_change(1, with_default("1")), a_change(1, with_default("2"), supplier="s-2"))

    found = await newest(database, "s-2", "s-1", "s-3")

    assert {s: f.settings.default_customer_number for s, f in found.items()} == {"s-1": "1", "s-2": "2", "s-3": None}
    assert await as_of(database, NOON, supplier="s-2") == ["2"]


async def test_settings_count_from_their_own_instant_to_the_next(database):
    later = NOON + INSTANT
    await changed(database, a_change(1, with_default("1")), a_change(2, with_default("2"), at=later))

    assert await as_of(database, NOON - INSTANT, NOON, later, later + INSTANT) == [None, "1", "2", "2"]


async def test_of_settings_of_the_same_instant_the_last_count(database):
    await changed(database, *(a_change(n, with_default(str(n))) for n in range(1, 12)))

    assert await as_of(database, NOON) == ["11"]


async def test_a_default_that_was_removed_counts_no_more_but_did_before(database):
    await changed(database, a_change(1, with_default("1")), a_change(2, BUILT_IN, at=minutes_after_noon(1)))

    assert await as_of(database, NOON, minutes_after_noon(1)) == ["1", None]


async def test_a_supplier_without_a_history_has_the_built_in_settings_at_any_time():
    assert settings_as_of((), NOON) == BUILT_IN


async def test_a_change_waits_for_whoever_decides_by_the_settings(database):
    async with transaction(database) as tx:
        read = await lock(tx, ["s-1"])
        change = asyncio.create_task(changed(database, a_change(1, with_default("1"))))
        await somebody_waits_for_a_lock(database)
        assert await lock(tx, ["s-1"]) == read

    await change
    assert await as_of(database, NOON) == ["1"]


async def test_whoever_decides_waits_for_a_change_and_decides_by_it(database):
    await changed(database, a_change(1, with_default("1")))

    async with transaction(database) as tx:
        await lock(tx, ["s-1"], to_change=True)
        reader = asyncio.create_task(newest(database, "s-1"))
        await somebody_waits_for_a_lock(database)
        await remember_changes(tx, [a_change(2, with_default("2"))], now=NOON)

    assert (await reader)["s-1"].settings == with_default("2")


async def test_two_changes_of_a_supplier_follow_each_other(database):
    async with transaction(database) as tx:
        await lock(tx, ["s-1"], to_change=True)
        second = asyncio.create_task(newest(database, "s-1", to_change=True))
        await somebody_waits_for_a_lock(database)
        await remember_changes(tx, [a_change(1, with_default("1"))], now=NOON)

    assert (await second)["s-1"].change == 1


async def test_many_decide_by_the_same_settings_at_once(database):
    await changed(database, a_change(1))

    async with transaction(database) as tx:
        await lock(tx, ["s-1"])

        assert (await newest(database, "s-1"))["s-1"].change == 1


async def test_suppliers_are_locked_in_order_so_that_nobody_waits_in_a_circle(database):
    await changed(database, a_change(1, supplier="a"), a_change(1, supplier="b"))

    async with transaction(database) as tx:
        await lock(tx, ["a"], to_change=True)
        second = asyncio.create_task(newest(database, "b", "a", to_change=True))
        await somebody_waits_for_a_lock(database)
        await lock(tx, ["b"], to_change=True)

    assert set(await second) == {"a", "b"}
