"""A supplier's settings: what may stand in an event, and what held when."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from functools import cache
from zoneinfo import available_timezones

from model.customer_number_text import is_valid, kept_text
from model.json_text import Number
from model.own_rules import Rule, are_sensible
from model.times import read_hour

LONGEST_NUMBER = 64
LONGEST_WINDOW = 720


class InvalidSettings(Exception):
    """Something in the event is wrong, so all of it is refused."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings with their built-in defaults."""

    default_customer_number: str | None = None
    time_zone: str = "Europe/Berlin"
    reminder_time: time = time(8)
    partner_without_number: str = "default"
    public_catalogue: str = "individual_first"
    customer_number_max_length: int = 20
    correction_window_hours: int = 72
    rules: tuple[Rule, ...] = ()


BUILT_IN = Settings()


@dataclass
class Supplier:
    """All settings of one supplier, as they became known."""

    told: list[tuple[datetime, Settings]] = field(default_factory=list)
    defaults_named: list[datetime] = field(default_factory=list)  # when an event named a default number
    settled: int = 0  # how many of them the worker has certainly applied
    rules_since: datetime | None = None  # the time of the settings that made the rules what they are

    def tell(self, at: datetime, settings: Settings) -> None:
        """Settings count from a time on."""
        if settings.rules != self.newest.rules:
            self.rules_since = at
        self.told.append((at, settings))

    @property
    def newest(self) -> Settings:
        """What counts for number lengths and reminders."""
        return self.told[-1][1] if self.told else BUILT_IN

    @property
    def newest_at(self) -> datetime | None:
        """Since when the newest settings count."""
        return self.told[-1][0] if self.told else None

    def is_stale(self, at: datetime) -> bool:
        """Whether settings of that time are older than the newest ones."""
        return bool(self.told) and at < self.told[-1][0]

    def as_of(self, at: datetime, known: int | None = None) -> Settings:
        """What counts for an order created then, from the first `known` settings (all where None)."""
        held = BUILT_IN
        for valid_from, settings in self.told[:known]:
            if valid_from <= at:
                held = settings
        return held


def changed(settings: Settings, data: Mapping[str, object]) -> Settings:
    """The settings with what an event says; null resets to the built-in default. Raises InvalidSettings."""
    for name, read in _READERS.items():
        if name in data:
            value = data[name]
            settings = replace(settings, **{name: getattr(BUILT_IN, name) if value is None else read(value)})
    number = settings.default_customer_number
    if number is not None and len(number) > settings.customer_number_max_length:
        raise InvalidSettings("default_customer_number")
    if "rules" in data:
        rules = [] if data["rules"] is None else data["rules"]
        if not isinstance(rules, list) or not are_sensible(rules, settings.customer_number_max_length):
            raise InvalidSettings("rules")
        settings = replace(settings, rules=tuple(rules))
    return settings


def _default_number(value: object) -> str | None:
    if not isinstance(value, str):
        raise InvalidSettings("default_customer_number")
    kept = kept_text(value)
    if not is_valid(kept, LONGEST_NUMBER):
        raise InvalidSettings("default_customer_number")
    return kept or None


def _time_zone(value: object) -> str:
    if not isinstance(value, str) or value not in _zones():
        raise InvalidSettings("time_zone")
    return value


@cache
def _zones() -> set[str]:
    return available_timezones()


def _reminder_time(value: object) -> time:
    hour = read_hour(value) if isinstance(value, str) else None
    if hour is None:
        raise InvalidSettings("reminder_time")
    return hour


def _one_of(*allowed: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise InvalidSettings(str(allowed))
        return value

    return read


def _whole_number(low: int, high: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if not isinstance(value, Number) or not value.text.lstrip("-").isdigit():
            raise InvalidSettings("not a whole number")
        number = int(value.text)
        if not low <= number <= high:
            raise InvalidSettings(f"not in {low} to {high}")
        return number

    return read


_READERS = {
    "default_customer_number": _default_number,
    "time_zone": _time_zone,
    "reminder_time": _reminder_time,
    "partner_without_number": _one_of("default", "none"),
    "public_catalogue": _one_of("individual_first", "default_always"),
    "customer_number_max_length": _whole_number(1, LONGEST_NUMBER),
    "correction_window_hours": _whole_number(0, LONGEST_WINDOW),
}
