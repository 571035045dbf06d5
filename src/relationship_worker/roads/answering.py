"""What each order of a batch is told: by the newest facts, which are held in memory, or by those of its time."""

import sys
from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import asdict, replace

from relationship_worker.domain.corrections import KnownSettings, is_gap
from relationship_worker.domain.customer_numbers import Ruling, which_number
from relationship_worker.domain.supplier import BUILT_IN, Settings
from relationship_worker.kafka.enriched_records import Told, told
from relationship_worker.messages.orders import Order, around_as_of
from relationship_worker.messages.outgoing import routing
from relationship_worker.storage import relationships, suppliers
from relationship_worker.storage.answer_rows import known_facts
from relationship_worker.storage.database import Tx
from relationship_worker.storage.known_facts import LONG_AGO, Known, KnownFacts, KnownSupplier


class Ruled(Told, frozen=True, gc=False):
    """What orders of a customer over a channel are told while the same facts are in force, and which facts that knew. It
    holds for orders created `since` then."""

    ruling: Ruling
    has_number: bool
    stored: bytes  # of the answer's row, what is the same for all of them
    since: datetime
    settings: KnownSettings | None
    knew_version: int
    knew_change: int
    open: bool
    told_as: str  # source and reason: what orders are counted by


def rule_by_held(known: KnownFacts, orders: Sequence[Order]) -> list[Ruled] | None:
    """What each order is told by the facts of the last look; None where that needs a question to the database."""
    found = known.held([(o.supplier_id, o.customer_id) for o in orders], {o.supplier_id for o in orders})
    if found is None:
        return None
    ruled, late = _rule_by_newest(orders, *found, caught_up=True)
    return None if late else ruled


async def load(tx: Tx, known: KnownFacts, orders: Sequence[Order]) -> tuple[list[Known], dict[str, KnownSupplier]]:
    """What these orders ask for, order by order and by supplier; from now on it is held."""
    customers = await known.customers(tx, [(o.supplier_id, o.customer_id) for o in orders])
    return customers, await known.settings(tx, {o.supplier_id for o in orders})


async def rule(tx: Tx, known: KnownFacts, orders: Sequence[Order], *, caught_up: bool) -> list[Ruled]:
    """What each order is told, in their order. Whoever has an answer by less than all decisions says so in it."""
    await known.look(tx)
    customers, settings = await load(tx, known, orders)
    ruled, late = _rule_by_newest(orders, customers, settings, caught_up=caught_up)
    if late:
        await _rule_late(tx, orders, customers, settings, late, ruled, caught_up=caught_up)
    return ruled


def _rule_by_newest(
    orders: Sequence[Order], customers: Sequence[Known], settings: dict[str, KnownSupplier], *, caught_up: bool
) -> tuple[list[Ruled], list[int]]:
    """Also returns which of them are older than the newest facts: for these it is not true."""
    ruled: list[Ruled] = []
    late: list[int] = []
    newest = {supplier_id: supplier.newest for supplier_id, supplier in settings.items()}
    for i, (order, customer) in enumerate(zip(orders, customers, strict=True)):
        found: Ruled | None = customer.derived.get(order.channel)
        if found is None or found.settings is not newest[order.supplier_id]:
            found = customer.derived[order.channel] = _by_newest(order, customer, settings[order.supplier_id])
        if order.created_at < found.since:
            late.append(i)
        elif not caught_up or not order.channel_known:
            found = _flagged(found, order, customer.version or None, caught_up=caught_up)
        ruled.append(found)
    return ruled, late


async def _rule_late(
    tx: Tx,
    orders: Sequence[Order],
    customers: Sequence[Known],
    settings: dict[str, KnownSupplier],
    late: Sequence[int],
    ruled: list[Ruled],
    *,
    caught_up: bool,
) -> None:
    """Orders that are older than the newest facts: by the version and the settings of their time."""
    by_customer = [i for i in late if customers[i].version]
    asked = [(orders[i].supplier_id, orders[i].customer_id or "", orders[i].created_at) for i in by_customer]
    versions = dict(zip(by_customer, await relationships.versions_as_of(tx, asked), strict=True))
    for i in late:
        order, then = orders[i], versions.get(i, relationships.NOTHING_KNOWN)
        supplier = settings[order.supplier_id]
        made = _ruled(
            order,
            then.version,
            partner=then.partner,
            individual=then.customer_number,
            settings=suppliers.settings_as_of(supplier.changes, order.created_at),
            supplier=supplier,
            knew_version=then.newest,
        )
        ruled[i] = _flagged(made, order, then.version, caught_up=caught_up)


def _by_newest(order: Order, customer: Known, supplier: KnownSupplier) -> Ruled:
    newest = supplier.newest
    return _ruled(
        order,
        customer.version or None,
        partner=customer.partner,
        individual=customer.customer_number,
        settings=newest.settings if newest is not None else BUILT_IN,
        supplier=supplier,
        knew_version=customer.version,
        since=max(customer.since, newest.valid_from) if newest is not None else customer.since,
    )


def _ruled(
    order: Order,
    version: int | None,
    *,
    partner: bool,
    individual: str | None,
    settings: Settings,
    supplier: KnownSupplier,
    knew_version: int,
    since: datetime = LONG_AGO,
) -> Ruled:
    ruling = which_number(partner=partner, individual=individual, channel=order.channel, settings=settings)
    before, after = around_as_of(ruling, version, no_customer=order.customer_id is None)
    knew_change, is_open = len(supplier.changes), is_gap(ruling)
    headers = routing(order.supplier_id, order.customer_id, ruling.number)
    return Ruled(
        **asdict(told(before.encode(), after.encode(), headers)),
        ruling=ruling,
        has_number=ruling.number is not None,
        stored=known_facts(
            order.supplier_id,
            order.customer_id,
            order.channel,
            knew_version,
            knew_change,
            is_open=is_open,
        ),
        since=since,
        settings=supplier.newest,
        knew_version=knew_version,
        knew_change=knew_change,
        open=is_open,
        told_as=sys.intern(f"{ruling.source} {ruling.reason or ''}"),
    )


def _flagged(ruled: Ruled, order: Order, version: int | None, *, caught_up: bool) -> Ruled:
    """With what is to be said of the order itself, or of the moment of its answer."""
    before, after = around_as_of(
        ruled.ruling,
        version,
        no_customer=order.customer_id is None,
        unknown_channel=not order.channel_known,
        caught_up=caught_up,
    )
    headers = routing(order.supplier_id, order.customer_id, ruled.ruling.number)
    return replace(ruled, **asdict(told(before.encode(), after.encode(), headers)))
