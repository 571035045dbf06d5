"""What the parts of a scenario share while it is made: chance, time, ids and what is known so far."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from model.records import ORDERS, Record
from model.worker import Model
from system.envelopes import Sending, a_trace, broken, data_text, partition_for, sent

BAND = timedelta(days=4)  # each round is about days of its own, so that what comes later is mostly about later
IN_BAND = timedelta(days=2)
AHEAD_BUT_TAKEN = timedelta(seconds=150)  # less than five minutes ahead of any clock that a run meets
LONG_AGO = timedelta(hours=1)  # nothing that is so old is taken for coming from the future
JUST_TOO_FAR_AHEAD = timedelta(minutes=30)  # more than five minutes ahead as long as a run lasts
SOURCES = ("/marketplace/north", "urn:portal:03", "https://erp.example/events?a=1", "Lieferant-Ü")


@dataclass(frozen=True, kw_only=True)
class RoundFrame:
    """The place of a round in time."""

    number: int
    starts: datetime

    @property
    def ends(self) -> datetime:
        """The last moment that its events are usually about."""
        return self.starts + IN_BAND


@dataclass
class Stage:
    """Grows as the scenario is made; its model knows all relationships and settings that were sent."""

    rng: Random
    now: datetime
    clocks_agree: bool = True  # of the workers; where not, nothing hangs on a quarter of an hour
    model: Model = field(default_factory=Model)
    numbers: Counter[int] = field(default_factory=Counter)  # per pair: how many it was given
    created: dict[str, list[tuple[object, datetime]]] = field(default_factory=dict)  # per supplier: orders' customers
    _ids: int = 0
    _lent: tuple[str, str, str] | None = None  # a topic, and the id and source of an event that was sent there

    def frame(self, number: int, rounds: int) -> RoundFrame:
        """The last round lies days before now."""
        return RoundFrame(number=number, starts=self.now - BAND * (rounds - number + 1))

    def event(
        self,
        topic: str,
        key: bytes | None,
        type_: str,
        time: datetime,
        fields: Mapping[str, object],
        oddity: float = 0.3,
    ) -> Sending:
        """A new event with an id of its own."""
        id_, source = self._identity(topic)
        return Sending(
            topic=topic,
            key=key,
            partition=partition_for(self.rng, key),
            id=id_,
            source=source,
            type=type_,
            time=time,
            data=data_text(self.rng, dict(fields), oddity),
            trace=a_trace(self.rng),
        )

    def _identity(self, topic: str) -> tuple[str, str]:
        """An id and a source, now and then those of an event on another topic: there they stand for something else."""
        self._ids += 1
        identity = (f"{topic[0]}-{self._ids:06}", self.rng.choice(SOURCES))
        if self.rng.random() < 0.02:
            identity = (identity[0] + self.rng.choice((' "ü"', "/%20", " 漢", "\\n", "{}")), identity[1])
        if self._lent and self._lent[0] != topic and self.rng.random() < 0.03:
            identity, self._lent = self._lent[1:], None
        elif self._lent is None:
            self._lent = (topic, *identity)
        return identity

    def under(self, sending: Sending, key: bytes | None) -> Sending:
        """The same event under another key."""
        return replace(sending, key=key, partition=partition_for(self.rng, key))

    def in_conflict(self, sending: Sending) -> Sending:
        """The same id with other data."""
        return replace(sending, data=sending.data[:-1] + ',"x_conflict":1}')

    def records(self, sending: Sending) -> list[Record]:
        """The event as it is sent, now and then once before in a form that cannot be read: that uses up no id."""
        record = replace(sent(self.rng, sending), at=self.now)
        if sending.topic != ORDERS:
            self.model.take(record)
        return [broken(self.rng, sending), record] if self.rng.random() < 0.003 else [record]

    def beside_an_order(self, supplier_id: str, *, customer_id: str | None = None) -> datetime | None:
        """A time at which a fact may correct an order, or just may not any more; facts of the supplier's never go back.

        The edges of the window that counts by now: the order's creation, the end of the window, and a moment past each.
        """
        window = timedelta(hours=self.model.supplier(supplier_id).newest.correction_window_hours)
        newest = self.model.supplier(supplier_id).newest_at
        orders = self.created.get(supplier_id, [])
        if customer_id is not None:
            newest = self.model.relationship(supplier_id, customer_id).newest_at
            orders = [(customer, at) for customer, at in orders if customer == customer_id]
        instant = timedelta(microseconds=1)
        edges = (timedelta(), instant, window / 2, window, window, window + instant)
        times = [created_at + self.rng.choice(edges) for _, created_at in orders]
        times = [at for at in times if at < self.now - LONG_AGO and (newest is None or at >= newest)]
        return self.rng.choice(times) if times else None

    def moment(self, first: datetime, last: datetime) -> datetime:
        """Some moment, to the millisecond or to the microsecond."""
        between = first + (last - first) * self.rng.random()
        if self.rng.random() < 0.7:
            return between.replace(microsecond=between.microsecond // 1000 * 1000)
        return between
