"""Suppliers' settings: the newest, and every change of them, for answers as of any time."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from functools import lru_cache
from typing import Any

import msgspec

from relationship_worker.domain.corrections import KnownSettings
from relationship_worker.domain.own_rules import Accept, Action, Defer, Reject, Rule, VatId
from relationship_worker.domain.supplier import BUILT_IN, PartnerWithoutNumber, PublicCatalogue, Settings
from relationship_worker.storage.database import Tx, rows, run


@dataclass(frozen=True, kw_only=True)
class Supplier:
    """A supplier's newest settings; change 0 are the built-in ones."""

    supplier_id: str
    change: int = 0
    valid_from: datetime | None = None
    settings: Settings = BUILT_IN
    rules_since: datetime | None = None  # when its rules were last changed; they decide no request that is older


async def lock(tx: Tx, suppliers: Collection[str], *, to_change: bool = False) -> dict[str, Supplier]:
    """The suppliers' newest settings, held to the end of the transaction: none changes while somebody decides by it.

    Always locked before relationships, and in order of their ids, so that no two transactions wait for each other.
    """
    ids = sorted(set(suppliers))
    await run(
        tx,
        """INSERT INTO suppliers (supplier_id)
           SELECT id FROM unnest(CAST(:ids AS text[])) AS supplier (id)
           WHERE NOT EXISTS (SELECT FROM suppliers WHERE supplier_id = id) ORDER BY id ON CONFLICT DO NOTHING""",
        {"ids": ids},
    )
    found = await rows(tx, _LOCK_TO_CHANGE if to_change else _LOCK_TO_READ, {"ids": ids})
    return {
        row.supplier_id: Supplier(
            supplier_id=row.supplier_id,
            change=row.change,
            valid_from=row.valid_from,
            settings=_with_rules(_read(row.settings), row.rules),
            rules_since=None if row.rules_since is None else datetime.fromisoformat(row.rules_since),
        )
        for row in found
    }


_LOCK_TO_READ = """SELECT supplier_id, change, valid_from, (settings - 'rules' - 'rules_since')::text AS settings,
                          (settings -> 'rules')::text AS rules, settings ->> 'rules_since' AS rules_since FROM suppliers
                   WHERE supplier_id = ANY(:ids) ORDER BY supplier_id FOR SHARE"""
_LOCK_TO_CHANGE = _LOCK_TO_READ.replace("FOR SHARE", "FOR UPDATE")


@dataclass(frozen=True, kw_only=True)
class SettingsChange:
    """A change to be remembered: the supplier as it is from now on, and the event that brought it."""

    supplier: Supplier
    brings_default: bool  # the change named a default customer number
    event_id: str
    event_source: str


async def remember_changes(tx: Tx, changes: Collection[SettingsChange], *, now: datetime) -> None:
    """Append the changes to the suppliers' history; the last of each supplier is its newest."""
    ordered = sorted(changes, key=lambda c: (c.supplier.supplier_id, c.supplier.change))
    await run(
        tx,
        """INSERT INTO supplier_settings
               (supplier_id, change, valid_from, recorded_at, settings, brings_default, event_id, event_source)
           SELECT supplier_id, change, valid_from, :now, settings, brings_default, event_id, event_source
           FROM unnest(CAST(:suppliers AS text[]), CAST(:changes AS int[]), CAST(:valid_from AS timestamptz[]),
                       CAST(:settings AS jsonb[]), CAST(:brings_default AS boolean[]), CAST(:event_ids AS text[]),
                       CAST(:event_sources AS text[]))
                AS t (supplier_id, change, valid_from, settings, brings_default, event_id, event_source)""",
        {
            "now": now,
            "suppliers": [c.supplier.supplier_id for c in ordered],
            "changes": [c.supplier.change for c in ordered],
            "valid_from": [c.supplier.valid_from for c in ordered],
            "settings": [_write(c.supplier) for c in ordered],
            "brings_default": [c.brings_default for c in ordered],
            "event_ids": [c.event_id for c in ordered],
            "event_sources": [c.event_source for c in ordered],
        },
    )
    newest = {c.supplier.supplier_id: c.supplier for c in ordered}
    await run(
        tx,
        """UPDATE suppliers SET change = t.change, valid_from = t.valid_from, settings = t.settings
           FROM unnest(CAST(:suppliers AS text[]), CAST(:changes AS int[]), CAST(:valid_from AS timestamptz[]),
                       CAST(:settings AS jsonb[])) AS t (supplier_id, change, valid_from, settings)
           WHERE suppliers.supplier_id = t.supplier_id""",
        {
            "suppliers": list(newest),
            "changes": [s.change for s in newest.values()],
            "valid_from": [s.valid_from for s in newest.values()],
            "settings": [_write(s) for s in newest.values()],
        },
    )


History = Mapping[str, list[KnownSettings]]


async def settings_history(tx: Tx, suppliers: Collection[str]) -> History:
    """All settings of each supplier but its rules, which no order asks for, oldest first; its change n is the n-th."""
    found = await rows(
        tx,
        """SELECT supplier_id, change, valid_from, (settings - 'rules' - 'rules_since')::text AS settings, brings_default
           FROM supplier_settings WHERE supplier_id = ANY(:ids) ORDER BY supplier_id, change""",
        {"ids": sorted(set(suppliers))},
    )
    history: dict[str, list[KnownSettings]] = {}
    for row in found:
        known = known_settings(row.change, row.valid_from, row.settings, row.brings_default)
        history.setdefault(row.supplier_id, []).append(known)
    return history


def known_settings(change: int, valid_from: datetime, settings: str, brings_default: bool) -> KnownSettings:
    """A change as a row holds it; `settings` is JSON text, without the rules."""
    return KnownSettings(change=change, valid_from=valid_from, settings=_read(settings), brings_default=brings_default)


async def newest_settings(tx: Tx, supplier_id: str) -> Settings:
    """The supplier's newest settings; nothing is locked."""
    found = await rows(
        tx, "SELECT settings::text AS settings FROM suppliers WHERE supplier_id = :supplier", {"supplier": supplier_id}
    )
    return _read(found[0].settings) if found else BUILT_IN


class RecordedChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change of settings as the history holds it: all settings from then on, and the event that brought them."""

    known: KnownSettings
    recorded_at: datetime
    event_id: str
    event_source: str


async def changes_of(tx: Tx, supplier_id: str) -> list[RecordedChange]:
    """All changes of a supplier's settings, oldest first; change n is the n-th."""
    found = await rows(
        tx,
        """SELECT change, valid_from, settings::text AS settings, brings_default, recorded_at, event_id, event_source
           FROM supplier_settings WHERE supplier_id = :supplier ORDER BY change""",
        {"supplier": supplier_id},
    )
    return [
        RecordedChange(
            known=known_settings(row.change, row.valid_from, row.settings, row.brings_default),
            recorded_at=row.recorded_at,
            event_id=row.event_id,
            event_source=row.event_source,
        )
        for row in found
    ]


def settings_as_of(changes: Sequence[KnownSettings], when: datetime) -> Settings:
    """Of a supplier's changes, oldest first, the settings in force at an instant, its own included."""
    for known in reversed(changes):
        if known.valid_from <= when:
            return known.settings
    return BUILT_IN


def _write(supplier: Supplier) -> str:
    settings = supplier.settings
    return json.dumps(
        {
            "default_customer_number": settings.default_customer_number,
            "time_zone": settings.time_zone,
            "reminder_time": settings.reminder_time.isoformat("minutes"),
            "partner_without_number": settings.partner_without_number,
            "public_catalogue": settings.public_catalogue,
            "customer_number_max_length": settings.customer_number_max_length,
            "correction_window_hours": settings.correction_window_hours,
            "rules": [_rule_as_told(rule) for rule in settings.rules],
            "rules_since": None if supplier.rules_since is None else supplier.rules_since.isoformat(),
        }
    )


@lru_cache(maxsize=10_000)  # one small object per kind of settings; suppliers change them a few times a year
def _read(text: str) -> Settings:
    values = json.loads(text)
    if not values:
        return BUILT_IN
    return Settings(
        default_customer_number=values["default_customer_number"],
        time_zone=values["time_zone"],
        reminder_time=time.fromisoformat(values["reminder_time"]),
        partner_without_number=PartnerWithoutNumber(values["partner_without_number"]),
        public_catalogue=PublicCatalogue(values["public_catalogue"]),
        customer_number_max_length=values["customer_number_max_length"],
        correction_window_hours=values["correction_window_hours"],
    )


def _with_rules(settings: Settings, rules: str | None) -> Settings:
    """Rows that were written before there were rules have none."""
    return settings if rules in (None, "[]") else replace(settings, rules=_read_rules(rules))


def _rule_as_told(rule: Rule) -> dict[str, object]:
    lists = {"country": rule.country, "currency": rule.currency, "customer_id": rule.customer_id}
    when: dict[str, object] = {name: sorted(values) for name, values in lists.items() if values is not None}
    if rule.vat_id is not None:
        when["vat_id"] = rule.vat_id
    return {"name": rule.name, "when": when, "then": {_KINDS[type(rule.then)]: vars(rule.then)}}


_KINDS: dict[type[Action], str] = {Accept: "accept", Reject: "reject", Defer: "defer"}
_ACTIONS: dict[str, type[Action]] = {kind: action for action, kind in _KINDS.items()}


@lru_cache(maxsize=200)  # may be large: a list of rules holds up to 1 MiB
def _read_rules(text: str | None) -> tuple[Rule, ...]:
    """Judged when they were told: a country that has gone from the map since is no reason to stop."""
    return tuple(_rule(told) for told in json.loads(text or "[]"))


def _rule(told: Mapping[str, Any]) -> Rule:
    when = told["when"]
    lists = {name: frozenset(when[name]) for name in ("country", "currency", "customer_id") if name in when}
    [(kind, action)] = told["then"].items()
    return Rule(
        name=told["name"],
        then=_ACTIONS[kind](**action),
        vat_id=VatId(when["vat_id"]) if "vat_id" in when else None,
        **lists,
    )
