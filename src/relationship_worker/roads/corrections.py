"""Corrections: a fact that becomes known late may change what orders must be told. Each such order is told so, once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.domain.corrections import Due, Facts, KnownSettings, KnownVersion, due
from relationship_worker.domain.customer_numbers import Channel
from relationship_worker.messages.orders import read_answer, write_correction
from relationship_worker.roads.relay import Bell
from relationship_worker.storage import corrections, suppliers
from relationship_worker.storage import facts as new_facts
from relationship_worker.storage.corrections import Correction
from relationship_worker.storage.database import Tx, alone, statements, transaction
from relationship_worker.storage.facts import Fact, Given, OrderId

log = structlog.get_logger()

TICK = 0.1  # seconds between two looks for new facts
BATCH_FACTS = 500  # as many as a batch of decisions brings
BATCH_ANSWERS = 500  # judged in one step: some 10 ms, after which orders have their turn
PATIENCE = 5.0  # seconds for transactions that may not know a fact; they take milliseconds
STEP = 0.005  # seconds between two looks whether they have ended


@dataclass(kw_only=True)
class Corrector:
    """Looks at the answers that new facts may change, in the order in which these became known.

    One works at a time, on whichever worker. A fact stays on the list, which its own transaction wrote, until all answers
    were looked at: in steps, each of them done or not, so that a crash costs one step.
    """

    database: AsyncEngine
    bell: Bell
    _waited_for: set[int] = field(default_factory=set)

    async def run_once(self) -> int:
        """One step; how many facts it brought forward."""
        now = datetime.now(UTC)
        async with statements(self.database) as tx:
            if not await new_facts.is_any_new(tx):
                return 0
        async with transaction(self.database) as tx:
            if not await alone(tx, "corrections"):
                return 0
            facts, horizon = await new_facts.facts_to_look_at(tx, limit=BATCH_FACTS)
            if not facts or not await self._all_remembered(tx, facts, horizon):
                return 0
            told = await self._look_at_next(tx, facts, now)
        if told:
            self.bell.ring()
            log.info("corrections", facts=len(facts), corrected=told)
        return len(facts)

    async def _all_remembered(self, tx: Tx, facts: Sequence[Fact], horizon: int) -> bool:
        """Wait for the transactions that may have read an order's facts without these, and not yet told what they found."""
        numbers = {fact.number for fact in facts}
        patience = asyncio.get_running_loop().time() + PATIENCE
        while not numbers <= self._waited_for:
            if await new_facts.oldest_running(tx) >= horizon:
                self._waited_for = numbers
            elif asyncio.get_running_loop().time() > patience:
                log.warning("corrections wait for a transaction that stays open", facts=len(facts))
                return False
            else:
                await asyncio.sleep(STEP)
        return True

    async def _look_at_next(self, tx: Tx, facts: Sequence[Fact], now: datetime) -> int:
        """Look at the answers that the next facts may change; how many orders are told something else."""
        of_settings = next((fact for fact in facts if fact.customer_id is None), None)
        told = await _look_for_supplier(tx, of_settings, now) if of_settings else 0
        of_customers = [fact for fact in facts if fact.customer_id is not None]
        begun = [fact for fact in of_customers if fact.looked_up_to]
        return told + (await _look_for_customers(tx, begun[:1] or of_customers, now) if of_customers else 0)


async def _look_for_customers(tx: Tx, facts: Sequence[Fact], now: datetime) -> int:
    given = await new_facts.given_to_customers(tx, facts, limit=BATCH_ANSWERS)
    if len(given) == BATCH_ANSWERS and len(facts) > 1:
        return await _look_for_customers(
            tx, facts[:1], now
        )  # too many for one step: the first alone, as far as it goes
    if len(given) == BATCH_ANSWERS:
        await new_facts.looked_up_to(tx, facts[0], given[-1].order_id)
    else:
        await new_facts.looked_at(tx, facts)
    return await _judge(tx, given, facts, now)


async def _look_for_supplier(tx: Tx, fact: Fact, now: datetime) -> int:
    given, last = await new_facts.given_by_supplier(tx, fact, limit=BATCH_ANSWERS)
    if last is not None:
        await new_facts.looked_up_to(tx, fact, last)
    else:
        await new_facts.looked_at(tx, [fact])
    return await _judge(tx, given, [fact], now)


async def _judge(tx: Tx, given: Sequence[Given], facts: Sequence[Fact], now: datetime) -> int:
    """Tell each order what it must be told by each fact that it did not know, where that is not what it was told last."""
    pairs = {(g.supplier_id, g.customer_id) for g in given if g.customer_id is not None}
    versions = await new_facts.versions_known(tx, pairs)
    settings = await suppliers.settings_history(tx, {g.supplier_id for g in given})
    about: dict[tuple[str, str | None], list[Fact]] = {}
    for fact in facts:
        about.setdefault((fact.supplier_id, fact.customer_id), []).append(fact)
    told: list[Correction] = []
    opened: dict[OrderId, bool] = {}
    for g in given:
        last, still_open = g.told, g.open
        pair = (g.supplier_id, g.customer_id or "")
        for fact in about.get((g.supplier_id, None)) or about[g.supplier_id, g.customer_id]:
            if not _is_news(fact, g):
                continue
            known = _known_with(fact, g, versions.get(pair, ()), settings.get(g.supplier_id, ()))
            due_now = due(known, created_at=g.created_at, channel=Channel(g.channel) if g.channel else None)
            answer = _differing(due_now, last)
            if answer is not None and due_now.ruling.number is not None and known.window:
                told.append(Correction(given=g, previous=last, answer=answer, cause=fact.cause))
                last, answer = answer, None
            still_open = due_now.gap or answer is not None
        if still_open != g.open:
            opened[g.order] = still_open
    if told:
        await corrections.remember(tx, told, now=now)
    if opened:
        await new_facts.keep_open(tx, opened)
    return len(told)


def _is_news(fact: Fact, given: Given) -> bool:
    """True where the answer was given without the fact."""
    return given.knew_change < fact.change if fact.customer_id is None else given.knew_version < fact.version


def _known_with(
    fact: Fact, given: Given, versions: Sequence[tuple[int, KnownVersion]], settings: Sequence[KnownSettings]
) -> Facts:
    """What was known once the fact was, and at the least what the answer knew. Settings' change n is the n-th."""
    of_settings = fact.customer_id is None
    count = sum(change < fact.change for change, _ in versions) if of_settings else fact.version
    return Facts(
        versions=[version for _, version in versions[: max(count, given.knew_version)]],
        settings=settings[: max(fact.change, given.knew_change)],
    )


def _differing(due_now: Due, told: str) -> str | None:
    """The answer (JSON) by now, where its number or source is another than was told."""
    before = read_answer(told)
    ruling = due_now.ruling
    if (ruling.number, ruling.source) == (before.number, before.source):
        return None
    return write_correction(before, ruling, due_now.version, as_of=due_now.as_of)
