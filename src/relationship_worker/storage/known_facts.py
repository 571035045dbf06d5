"""What is known of relationships and suppliers, held in memory: at each look exactly what the database knows.

A look asks for what became known since the look before: rows that its snapshot sees and the former one did not. Each row
carries the transaction that brought it, so an index finds them. What is not held is loaded, the rest needs no question.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from relationship_worker.domain.corrections import KnownSettings
from relationship_worker.storage import suppliers
from relationship_worker.storage.database import Tx, rows

RELATIONSHIPS = 60_000  # held twice at most, a kilobyte each; customers order again within minutes or within months
SUPPLIERS = 5_000  # held twice at most, some kilobytes each
MOST_NEWS = 50_000  # rows of a look; above it, after a long rest, all is forgotten and loaded anew

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
CustomerOf = tuple[str, str | None]
"""(supplier_id, customer_id); the customer is None for an order that names none."""

K = TypeVar("K")
V = TypeVar("V")


class Known(msgspec.Struct, eq=False):
    """The newest version of a relationship; version 0: nothing is known. Changed in place when another becomes known."""

    version: int = 0
    since: datetime = LONG_AGO
    partner: bool = False
    customer_number: str | None = None
    derived: dict[Any, Any] = {}


class KnownSupplier(msgspec.Struct, eq=False):
    """All changes of a supplier's settings, oldest first; change n is the n-th. Changed in place."""

    changes: list[KnownSettings]

    @property
    def newest(self) -> KnownSettings | None:
        """None: nothing was ever set."""
        return self.changes[-1] if self.changes else None


class Seen(NamedTuple):
    """The last look: all that is held is at least what its snapshot saw, in that life of the server."""

    snapshot: str
    server: str


class KnownFacts:
    """Shared by all lanes of a process."""

    def __init__(self, *, relationships: int = RELATIONSHIPS, suppliers: int = SUPPLIERS) -> None:
        """How many to hold at the least, once so many were asked for."""
        self._relationships: _Recent[CustomerOf, Known] = _Recent(relationships)
        self._suppliers: _Recent[str, KnownSupplier] = _Recent(suppliers)
        self._seen: Seen | None = None
        self._life = 0  # raised when all is forgotten
        self._loading = 0
        self._news_meanwhile: list[Any] = []  # what became known while something was loaded

    @property
    def seen(self) -> Seen | None:
        """None: nothing was looked at yet."""
        return self._seen

    def held(
        self, pairs: Sequence[CustomerOf], supplier_ids: Collection[str]
    ) -> tuple[list[Known], dict[str, KnownSupplier]] | None:
        """What `customers` and `settings` give, as of the last look; None where some of it is not held."""
        customers = self._relationships.get_all(pairs)
        settings = {supplier: self._suppliers.get(supplier) for supplier in supplier_ids}
        if None in customers or None in settings.values():
            return None
        return customers, settings  # type: ignore[return-value]

    async def look(self, tx: Tx) -> None:
        """From here on all that is held is at least what this transaction sees."""
        before = self._seen
        head, *news = await rows(tx, _LOOK, {"before": before.snapshot if before else None, "most": MOST_NEWS})
        now = Seen(snapshot=head.a, server=head.b)
        if before is None or before.server != now.server or len(news) == MOST_NEWS:
            self._forget()  # also what others have loaded meanwhile: nobody asked what became known since
        self._learn(news)
        if self._loading:
            self._news_meanwhile += news
        self._seen = now

    async def customers(self, tx: Tx, pairs: Sequence[CustomerOf]) -> list[Known]:
        """The newest version of each relationship. Look first."""
        found = self._relationships.get_all(pairs)
        if None not in found:
            return found  # type: ignore[return-value]
        missing = {pair for pair, known in zip(pairs, found, strict=True) if known is None}
        loaded = await self._load_customers(tx, missing)
        return [known or loaded[pair] for pair, known in zip(pairs, found, strict=True)]

    async def settings(self, tx: Tx, supplier_ids: Collection[str]) -> dict[str, KnownSupplier]:
        """The settings of each supplier. Look first."""
        get = self._suppliers.get
        found = {supplier: get(supplier) for supplier in supplier_ids}
        missing = [supplier for supplier, known in found.items() if known is None]
        if missing:
            found |= await self._load_suppliers(tx, missing)
        return found  # type: ignore[return-value]

    async def _load_customers(self, tx: Tx, missing: Collection[CustomerOf]) -> dict[CustomerOf, Known]:
        loaded = {pair: Known() for pair in missing}
        asked = [(supplier, customer) for supplier, customer in missing if customer is not None]

        async def load() -> None:
            for i, version, since, partner, number in await rows(
                tx,
                _LOAD,
                {"suppliers": "\x1f".join([s for s, _ in asked]), "customers": "\x1f".join([c for _, c in asked])},
            ):
                loaded[asked[i - 1]] = Known(version, since, partner, number)

        await self._hold(load, self._relationships, loaded)
        return loaded

    async def _load_suppliers(self, tx: Tx, missing: Collection[str]) -> dict[str, KnownSupplier]:
        loaded = {supplier: KnownSupplier([]) for supplier in missing}

        async def load() -> None:
            for supplier, changes in (await suppliers.settings_history(tx, missing)).items():
                loaded[supplier].changes = changes

        await self._hold(load, self._suppliers, loaded)
        return loaded

    async def _hold(self, load: Any, held: "_Recent[K, V]", loaded: dict[K, V]) -> None:
        """Load, and hold what was loaded, with all that another lane's look has found out meanwhile."""
        life = self._life
        self._loading += 1
        try:
            await load()
            news = list(self._news_meanwhile)
        finally:
            self._loading -= 1
            if not self._loading:
                self._news_meanwhile.clear()
        if life == self._life:
            held.put(loaded)
            self._learn(news)

    def _learn(self, news: Iterable[Any]) -> None:
        """May be told twice, and in any order: a version never changes, and only a newer one counts."""
        for kind, a, b, number, valid_from, flag, text in news:
            if kind == "version":
                known = self._relationships.get((a, b))
                if known is not None and known.version < number:
                    known.version, known.since, known.partner, known.customer_number = number, valid_from, flag, text
                    known.derived = {}
            else:
                supplier = self._suppliers.get(a)
                if supplier is not None and len(supplier.changes) == number - 1:
                    supplier.changes.append(suppliers.known_settings(number, valid_from, b, flag))

    def _forget(self) -> None:
        self._life += 1
        self._relationships.clear()
        self._suppliers.clear()


class _Recent(Generic[K, V]):
    """Holds what was asked for last: when `most` are held, those that nobody asks for before the next `most` go."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """None: not held."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self._young[key] = value
        return value

    def get_all(self, keys: Sequence[K]) -> list[V | None]:
        """Of each key: what `get` gives."""
        found = list(map(self._young.get, keys))
        if None in found:
            return [self.get(key) if value is None else value for key, value in zip(keys, found, strict=True)]
        return found

    def put(self, values: dict[K, V]) -> None:
        """Hold these, too."""
        if len(self._young) + len(values) > self._most:
            self._old, self._young = self._young, {}
        self._young |= values

    def clear(self) -> None:
        """Hold nothing."""
        self._young, self._old = {}, {}


# A row that is visible has a transaction below the snapshot's end. Above it lie those of a database that was moved here from
# another server, as text: without the bound each look would return them all.
_NEW = """known_in >= pg_snapshot_xmin(CAST(CAST(:before AS text) AS pg_snapshot))
          AND known_in < pg_snapshot_xmax(pg_current_snapshot())
          AND NOT pg_visible_in_snapshot(known_in, CAST(CAST(:before AS text) AS pg_snapshot))"""
_LOOK = f"""
SELECT 'look' AS kind, pg_current_snapshot()::text AS a, server_life() AS b, 0 AS number,
       NULL::timestamptz AS valid_from, false AS flag, NULL::text AS text
UNION ALL
(SELECT * FROM (
    SELECT 'version', supplier_id, customer_id, version, valid_from, state = 'partner', customer_number
    FROM relationship_history WHERE {_NEW}
    UNION ALL
    SELECT 'settings', supplier_id, (settings - 'rules' - 'rules_since')::text, change, valid_from, brings_default, NULL
    FROM supplier_settings WHERE {_NEW}) AS news
 ORDER BY 4 LIMIT :most)"""

_LOAD = """
SELECT t.i, r.version, r.valid_from, r.state = 'partner', r.customer_number
FROM unnest(string_to_array(:suppliers, chr(31)), string_to_array(:customers, chr(31))) WITH ORDINALITY AS t (s, c, i)
CROSS JOIN LATERAL (
    SELECT version, valid_from, state, customer_number FROM relationships
    WHERE supplier_id = t.s AND customer_id = t.c AND version > 0) AS r"""
