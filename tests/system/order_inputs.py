"""Orders: of partners, others and walk-ins, created around the moments that matter, and sent again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from model.records import ORDERS, Record
from model.relationships import Version
from system.envelopes import Sending, time_text
from system.parties import Pair, Party
from system.stage import BAND, RoundFrame, Stage

_TYPE = "marketplace.order.created"
_CHANNELS = ("public", "private", None)
_UNKNOWN_CHANNELS = ("shop", "PUBLIC", "", " public", 7, True, ["public"], {"is": "public"})
_BESIDE = (
    timedelta(),
    timedelta(milliseconds=-1),
    timedelta(milliseconds=1),
    timedelta(microseconds=-1),
    timedelta(microseconds=1),
)


@dataclass(frozen=True, kw_only=True)
class _Sent:
    """An order that was sent, with what it takes to send it again."""

    sending: Sending
    fields: Mapping[str, object]


@dataclass
class OrderInputs:
    """Makes orders. What is sent again within a round lies under the same key: nothing else has an order there."""

    stage: Stage
    parties: list[Party]
    pairs: list[Pair]
    _earlier: list[_Sent] = field(default_factory=list)
    _in_round: list[_Sent] = field(default_factory=list)
    _ids: set[tuple[str, str]] = field(default_factory=set)
    _orders: int = 0

    def of_leg(self, count: int, frame: RoundFrame, before: Mapping[object, datetime] | None = None) -> list[Record]:
        """Orders of a leg. `before` says, per pair and supplier, which times this round's inputs are about: most orders
        that travel beside them were created earlier than those.
        """
        records: list[Record] = []
        for _ in range(count):
            records += self._one(frame, before)
        return records

    def end_round(self) -> None:
        """From here on all that was sent has been answered."""
        self._earlier += self._in_round
        self._in_round = []

    def _one(self, frame: RoundFrame, before: Mapping[object, datetime] | None) -> list[Record]:
        rng = self.stage.rng
        sent = (self._again(frame) if rng.random() < 0.07 else None) or self._new(frame, before)
        self._in_round.append(sent)
        return self.stage.records(sent.sending)

    def _again(self, frame: RoundFrame) -> _Sent | None:
        """The same event, the same id with other data, or the same order in another event."""
        rng = self.stage.rng
        in_round = rng.random() < 0.4
        candidates = self._in_round if in_round else self._earlier
        if not candidates:
            return None
        sent = rng.choice(candidates)
        key = sent.sending.key if in_round else self._key(sent.fields)
        chance = rng.random()
        if chance < 0.5:
            return _Sent(sending=self.stage.under(sent.sending, key), fields=sent.fields)
        if in_round and key is None:
            return None  # without a key only the very same event may be sent twice in no order
        if chance < 0.65:
            conflict = self.stage.in_conflict(self.stage.under(sent.sending, key))
            return _Sent(sending=conflict, fields=sent.fields)
        fields = dict(sent.fields)
        other = rng.choice(self.pairs).customer_id
        fields |= rng.choice(
            (
                {},
                {"channel": "private"},
                {"created_at": time_text(rng, frame.ends)},
                {"again": True},
                {"customer_id": other},
            )
        )
        return _Sent(sending=self.stage.event(ORDERS, key, _TYPE, sent.sending.time, fields), fields=fields)

    def _new(self, frame: RoundFrame, before: Mapping[object, datetime] | None) -> _Sent:
        rng = self.stage.rng
        self._orders += 1
        pair = self._pair()
        fields: dict[str, object] = {"order_id": self._order_id(pair.supplier), "supplier_id": pair.supplier.id}
        chance = rng.random()
        if chance < 0.06:
            fields |= rng.choice(({}, {"customer_id": None}))
            created_at = self._created_at(None, pair.supplier, frame, before)
        elif chance < 0.12:
            fields["customer_id"] = f"nobody-{self._orders}"
            created_at = self._created_at(None, pair.supplier, frame, before)
        else:
            fields["customer_id"] = pair.customer_id
            created_at = self._created_at(pair, pair.supplier, frame, before)
        channel = rng.choice(_CHANNELS if rng.random() < 0.9 else _UNKNOWN_CHANNELS)
        if channel is not None or rng.random() < 0.5:
            fields["channel"] = channel
        self.stage.created.setdefault(pair.supplier.id, []).append((fields.get("customer_id"), created_at))
        time = created_at
        if rng.random() < 0.85:
            fields["created_at"] = time_text(rng, created_at)
            time = created_at + timedelta(seconds=rng.randint(0, 9000))
        elif rng.random() < 0.3:
            fields["created_at"] = None
        fields["lines"] = [{"sku": "00042", "quantity": rng.randint(1, 9)}]
        return _Sent(sending=self.stage.event(ORDERS, self._key(fields), _TYPE, time, fields), fields=fields)

    def _pair(self) -> Pair:
        """Partners order more than others do."""
        pair = self.stage.rng.choice(self.pairs)
        for _ in range(8):
            if any(version.state == "partner" for version in self._versions(pair)):
                break
            pair = self.stage.rng.choice(self.pairs)
        return pair

    def _partner_since(self, pair: Pair) -> datetime | None:
        times = [version.valid_from for version in self._versions(pair) if version.state == "partner"]
        return self.stage.rng.choice(times) if times else None

    def _versions(self, pair: Pair) -> list[Version]:
        return self.stage.model.relationship(pair.supplier.id, pair.customer_id).versions

    def _order_id(self, party: Party) -> str:
        rng = self.stage.rng
        order_id = f"order-{self._orders:06}" + rng.choice(("", "", "", "", " / Ü", ' "q"', "漢"))
        if rng.random() < 0.03 and self._earlier:
            order_id = str(rng.choice(self._earlier).fields["order_id"])  # another supplier's order has it already
        if (party.id, order_id) in self._ids:
            order_id = f"order-{self._orders:06}"
        self._ids.add((party.id, order_id))
        return order_id

    def _key(self, fields: Mapping[str, object]) -> bytes | None:
        rng = self.stage.rng
        chance = rng.random()
        if chance < 0.5:
            return f"{fields['supplier_id']}/{fields.get('customer_id')}".encode()
        if chance < 0.65:
            return str(fields["order_id"]).encode()
        if chance < 0.8:
            return b"shop-%d" % rng.randrange(5)
        if chance < 0.88:
            return b"\xff\x00\xfe" + bytes([rng.randrange(256)])
        return b"" if chance < 0.91 else None

    def _created_at(
        self, pair: Pair | None, party: Party, frame: RoundFrame, before: Mapping[object, datetime] | None
    ) -> datetime:
        """Around the moments at which something changed; any time, also one to come."""
        rng, model = self.stage.rng, self.stage.model
        moments = [at for at, _ in model.supplier(party.id).told]
        if pair is not None:
            for version in self._versions(pair):
                moments += [version.valid_from] * (8 if version.state == "partner" else 2)
        if moments and rng.random() < 0.6:
            created_at = rng.choice(moments) + rng.choice(_BESIDE)
        elif pair is not None and (partner := self._partner_since(pair)) and rng.random() < 0.6:
            created_at = self.stage.moment(partner, partner + timedelta(days=6))
        elif rng.random() < 0.05:
            created_at = self.stage.now + timedelta(days=rng.randint(1, 20))
        elif rng.random() < 0.4:
            created_at = self.stage.moment(frame.ends, frame.ends + 2 * BAND)  # what is decided by then is told later
        else:
            created_at = self.stage.moment(frame.ends - timedelta(days=15), frame.ends)
        if before is not None and rng.random() < 0.7:
            latest = min(before.get(about, created_at) for about in (pair, party))
            if created_at >= latest:
                created_at = latest - rng.choice((timedelta(microseconds=1), timedelta(hours=rng.randint(1, 400))))
        return created_at
