"""What suppliers send about themselves: their settings, right and wrong, in time and late."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from model.records import DECISIONS, Record
from system.clocks import AFTER_MOVE, BUILT_IN, Clock, clock_of
from system.envelopes import Sending
from system.parties import Party
from system.stage import RoundFrame, Stage

LONG_BEFORE = timedelta(days=20)
_TYPE = "supplier.settings.changed"
_WRONG: tuple[Mapping[str, object], ...] = (
    {"time_zone": "Mars/Olympus"},
    {"time_zone": 1},
    {"time_zone": ""},
    {"reminder_time": "24:00"},
    {"reminder_time": "8:00"},
    {"reminder_time": "08:00:00"},
    {"reminder_time": 8},
    {"partner_without_number": "maybe"},
    {"partner_without_number": False},
    {"public_catalogue": ["individual_first"]},
    {"customer_number_max_length": 0},
    {"customer_number_max_length": 65},
    {"customer_number_max_length": "20"},
    {"customer_number_max_length": True},
    {"correction_window_hours": 721},
    {"correction_window_hours": -1},
    {"correction_window_hours": "72"},
    {"default_customer_number": 4711},
    {"default_customer_number": "00\u200b7"},
    {"default_customer_number": "7" * 65},
    {"rules": {}},
    {"rules": [{"name": "a", "then": {}}]},
    {"rules": [{"name": "a", "then": {"accept": {}}}, {"name": "a", "then": {"accept": {}}}]},
    {"rules": [{"name": "a b", "then": {"accept": {}}}]},
    {"rules": [{"name": "a", "when": {"vat": "valid"}, "then": {"accept": {}}}]},
    {"rules": [{"name": "a", "when": {"country": []}, "then": {"accept": {}}}]},
    {"rules": [{"name": "a", "then": {"accept": {"customer_number": "{id}"}}}]},
    {"rules": [{"name": "a", "then": {"accept": {"customer_number": "7" * 65}}}]},
    {"rules": [{"name": "a", "then": {"reject": {"reason": "\0"}}}]},
    {"rules": [{"name": "a", "then": {"defer": {"days": 1827}}}]},
)


@dataclass
class SettingsInputs:
    """Makes the settings that a round sends; nothing else about relationships travels beside them."""

    stage: Stage
    _sent: dict[str, list[Sending]] = field(default_factory=dict)
    _defaults: int = 0

    def first(self, party: Party, frame: RoundFrame) -> list[Record]:
        """What most suppliers say before anything happens."""
        rng = self.stage.rng
        fields: dict[str, object] = self._window() if rng.random() < 0.5 else {}
        if party.longest_number != 20:
            fields["customer_number_max_length"] = party.longest_number
        if rng.random() < 0.85:
            fields["default_customer_number"] = self._default(party)
        fields |= _clock(clock_of(party)) | self._switches()
        if "default_customer_number" not in fields and rng.random() < 0.5:
            fields["public_catalogue"] = "default_always"  # of which there is none
        if rng.random() < 0.4:
            fields["rules"] = self._rules(party)
        return self._send(party, frame.starts - LONG_BEFORE, fields)

    def more(self, party: Party, frame: RoundFrame, *, move: bool) -> list[Record]:
        """Changes, mistakes, latecomers and repetitions; and the move of those that move."""
        records = []
        for _ in range(self.stage.rng.choice((0, 1, 2, 3, 4))):
            records += self._another(party, frame)
        if move and party.moves:
            records += self._send(party, frame.ends, _clock(AFTER_MOVE))
        return records

    def _another(self, party: Party, frame: RoundFrame) -> list[Record]:
        rng = self.stage.rng
        supplier = self.stage.model.supplier(party.id)
        newest_at = supplier.newest_at or frame.starts
        usual = self.stage.moment(max(frame.starts, min(newest_at, frame.ends)), frame.ends - timedelta(seconds=1))
        before = self._sent.get(party.id, [])
        chance = rng.random()
        if chance < 0.12 and before:
            again = rng.choice(before)
            return self.stage.records(self.stage.in_conflict(again) if rng.random() < 0.3 else again)
        if chance < 0.24:
            return self._send(party, usual, {**self._change(party), **rng.choice(_WRONG)})
        if chance < 0.34:
            return self._send(party, newest_at - timedelta(milliseconds=1), self._change(party))
        if chance < 0.42:
            return self._send(party, newest_at, self._change(party))
        if chance < 0.47:
            return self._send(party, self.stage.now + timedelta(days=3), self._change(party))
        beside = self.stage.beside_an_order(party.id) if chance < 0.65 else None
        return self._send(party, beside or usual, self._change(party))

    def _change(self, party: Party) -> dict[str, object]:
        rng = self.stage.rng
        chance = rng.random()
        if rng.random() < 0.2:
            return {"rules": rng.choice((None, [], self._rules(party), self._rules(party), self._rules(party)))}
        if chance < 0.1:
            return self._window()
        if chance < 0.35:
            return {"default_customer_number": self._default(party)}
        if chance < 0.4:
            default = self.stage.model.supplier(party.id).newest.default_customer_number
            return {"default_customer_number": default}  # named again
        if chance < 0.5:
            return {"default_customer_number": None}
        if chance < 0.6 and not party.moves:
            return _clock(rng.choice((clock_of(party), BUILT_IN)))
        if chance < 0.7 and not party.moves:
            return {"time_zone": None, "reminder_time": None, "colour": "unknown ones are ignored"}
        return self._switches() | {"default_customer_number": self._default(party)}

    def _rules(self, party: Party) -> list[object]:
        """Some of many, in any order. A number is one customer's alone: whether it is shared must not depend on turns."""
        own = f"{party.index:02}-"
        deferral = self.stage.rng.choice((1, 2, 30, 1826))
        return self.stage.rng.sample(
            [
                _rule("long-number", {"accept": {"customer_number": own + "marketplc-{customer_id}"}}, country=["AT"]),
                _rule("valid", {"accept": {"customer_number": f" {own}{{customer_id}} "}}, vat_id="valid"),
                _rule("numberless", {"accept": {}}, vat_id="present", country=["DE"], currency=["EUR", "CHF"]),
                _rule("no", {"reject": {"reason": "Wir liefern nur nach Vereinbarung."}}, country=["CH", "IE"]),
                _rule("franken", {"reject": {"reason": "nur Euro"}}, currency=["CHF"]),
                _rule("later", {"defer": {"days": deferral, "reason": "prüfen"}}, country=["DE", "AT"]),
                _rule("known", {"accept": {}}, customer_id=[f"k{n:05}" for n in range(0, 3000, 7)]),
            ],
            k=self.stage.rng.randint(1, 4),
        )

    def _window(self) -> dict[str, object]:
        return {"correction_window_hours": self.stage.rng.choice((0, 0, 1, 24, 72, 720, None))}

    def _switches(self) -> dict[str, object]:
        rng = self.stage.rng
        fields: dict[str, object] = {}
        if rng.random() < 0.6:
            fields["partner_without_number"] = rng.choice(("default", "none", "none", None))
        if rng.random() < 0.6:
            fields["public_catalogue"] = rng.choice(("individual_first", "default_always", "default_always", None))
        return fields

    def _default(self, party: Party) -> str:
        self._defaults += 1
        return self.stage.rng.choice(("", "", " ")) + party.default_number(self._defaults)

    def _send(self, party: Party, time: datetime, fields: Mapping[str, object]) -> list[Record]:
        sending = self.stage.event(
            DECISIONS, party.id.encode(), _TYPE, time, {"supplier_id": party.id, **fields}, oddity=0.0
        )
        self._sent.setdefault(party.id, []).append(sending)
        return self.stage.records(sending)


def _rule(name: str, then: object, **when: object) -> dict[str, object]:
    return {"name": name, "when": when, "then": then}


def _clock(clock: Clock) -> dict[str, object]:
    return {"time_zone": clock[0], "reminder_time": clock[1].strftime("%H:%M")}
