"""A small plan in which each of a worker's promises matters: two suppliers, the same eight customers, three rounds."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random

from model.records import DECISIONS, ORDERS, REQUESTS, Record
from system.envelopes import Sending
from system.parties import Pair, suppliers
from system.plan import Places, Plan, Round
from system.stage import RoundFrame, Stage
from system.unreadable_inputs import UnreadableInputs

CUSTOMERS = 8
PARTNERS, DEFERRED, REJECTED, ASKS_LAST = (1, 2, 3, 4), (5, 6), 7, 8
REQUESTED, ACCEPTED, CHANGED = (timedelta(days=days) for days in (0, 2, 5))  # after the plan's first day
FIRST_DAY = timedelta(days=12)  # before now


def small_plan(seed: int, now: datetime) -> Plan:
    """The same plan for the same seed and moment."""
    return _SmallPlan(seed, now).plan()


class _SmallPlan:
    def __init__(self, seed: int, now: datetime) -> None:
        self.seed, self.now = seed, now
        self.rng = Random(seed)
        self.stage = Stage(rng=self.rng, now=now)
        self.began = now - FIRST_DAY
        self.parties = suppliers(2)
        self.pairs = [
            Pair(serial=10 * party.index + customer, supplier=party, customer_id=f"k{customer}", group=None, turn=0)
            for party in self.parties
            for customer in range(1, CUSTOMERS + 1)
        ]
        self.unreadable = UnreadableInputs(stage=self.stage, pairs=self.pairs)
        self.refused: list[Sending] = []
        self.orders: list[tuple[Pair, Sending, dict[str, object]]] = []

    def plan(self) -> Plan:
        places = Places(self.now)
        rounds = []
        for number, (relationships, orders) in enumerate((self._asked(), self._decided(), self._changed())):
            frame = RoundFrame(number=number, starts=self.began)
            relationships.insert(1, self.unreadable.one(DECISIONS, frame))
            orders.insert(1, self.unreadable.one(ORDERS, frame))
            rounds.append(
                Round(
                    early=(),
                    relationships=tuple(places.place(record) for record in relationships),
                    orders=tuple(places.place(record) for record in orders),
                )
            )
        owners = {party.id: party.index for party in self.parties}
        return Plan(seed=self.seed, now=self.now, suppliers=owners, rounds=tuple(rounds))

    def _asked(self) -> tuple[list[Record], list[Record]]:
        """All ask but the last, for whom decisions wait; those who will be partners order nothing yet."""
        first, _ = self.parties  # the second has no default: its suppliers' orders have no number
        data = {"supplier_id": first.id, "default_customer_number": first.default_number(1)}
        settings = self.stage.event(DECISIONS, first.id.encode(), "supplier.settings.changed", self.began, data)
        inputs = self.stage.records(settings)
        for pair in self.pairs:
            if pair.serial % 10 != ASKS_LAST:
                inputs += self._input(REQUESTS, "marketplace.connection.requested", pair, REQUESTED)
            else:
                inputs += self._deferred(pair, REQUESTED)
                inputs += self._accepted(pair, REQUESTED)
        later = [pair for pair in self.pairs if pair.serial % 10 not in PARTNERS]
        return inputs, self._orders(later, timedelta(hours=1))

    def _decided(self) -> tuple[list[Record], list[Record]]:
        """Each is decided. Orders are of before, of after, and of after what comes next."""
        inputs = []
        for pair in self.pairs:
            customer = pair.serial % 10
            if customer in PARTNERS:
                inputs += self._accepted(pair, ACCEPTED)
            elif customer in DEFERRED:
                inputs += self._deferred(pair, ACCEPTED)
            elif customer == REJECTED:
                self.refused.append(self._event(DECISIONS, "supplier.connection.ended", pair, ACCEPTED))
                inputs += self.stage.records(self.refused[-1])
                inputs += self._input(DECISIONS, "supplier.connection.rejected", pair, ACCEPTED)
            else:
                inputs += self._input(REQUESTS, "marketplace.connection.requested", pair, ACCEPTED)
        half_a_day = timedelta(hours=12)
        orders = [self._orders(self.pairs, at) for at in (ACCEPTED + half_a_day, ACCEPTED - half_a_day)]
        return inputs, orders[0] + orders[1] + self._orders(self.pairs, CHANGED + half_a_day)

    def _changed(self) -> tuple[list[Record], list[Record]]:
        """Numbers change, which corrects orders. What was refused comes again; so do orders, created at another time too."""
        inputs = [record for refused in self.refused for record in self.stage.records(refused)]
        for pair in self.pairs:
            number = f"{pair.supplier.index:02}-{pair.serial:05}-2" if pair.serial % 10 != PARTNERS[-1] else None
            if pair.serial % 10 in PARTNERS:
                more = {"customer_number": number}
                inputs += self._input(DECISIONS, "supplier.customer-number.assigned", pair, CHANGED, more)
        orders = self._orders(self.pairs, CHANGED - timedelta(hours=12))
        for pair, sending, fields in self.rng.sample(self.orders, 20):
            orders += self.stage.records(sending)
            other_time = {"created_at": (self.began + ACCEPTED - timedelta(hours=1)).isoformat()}
            again = self.stage.event(ORDERS, pair.key, sending.type, sending.time, fields | other_time)
            orders += self.stage.records(again)
        return inputs, orders

    def _accepted(self, pair: Pair, at: timedelta) -> list[Record]:
        number = {"customer_number": f"{pair.supplier.index:02}-{pair.serial:05}-1"}
        return self._input(DECISIONS, "supplier.connection.accepted", pair, at, number)

    def _deferred(self, pair: Pair, at: timedelta) -> list[Record]:
        """With a day that is over: due at once."""
        day = {"resubmission_date": (self.began + at).date().isoformat()}
        return self._input(DECISIONS, "supplier.connection.deferred", pair, at, day)

    def _input(
        self, topic: str, type_: str, pair: Pair, at: timedelta, more: dict[str, object] | None = None
    ) -> list[Record]:
        return self.stage.records(self._event(topic, type_, pair, at, more))

    def _event(
        self, topic: str, type_: str, pair: Pair, at: timedelta, more: dict[str, object] | None = None
    ) -> Sending:
        data = {"supplier_id": pair.supplier.id, "customer_id": pair.customer_id, **(more or {})}
        return self.stage.event(topic, pair.key, type_, self.began + at, data)

    def _orders(self, pairs: Iterable[Pair], at: timedelta) -> list[Record]:
        records = []
        for pair in pairs:
            created_at = self.began + at
            fields: dict[str, object] = {
                "order_id": f"order-{len(self.orders)}",
                "supplier_id": pair.supplier.id,
                "customer_id": pair.customer_id,
                "created_at": created_at.isoformat(),
                "lines": [{"sku": "00042", "quantity": self.rng.randint(1, 9)}],
            }
            sending = self.stage.event(ORDERS, pair.key, "marketplace.order.created", created_at, fields)
            self.orders.append((pair, sending, fields))
            records += self.stage.records(sending)
        return records
