"""A supplier's settings: what they are, which values make sense, and what a change leaves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import time
from enum import StrEnum

from relationship_worker.domain.customer_number_text import InvalidCustomerNumber, customer_number
from relationship_worker.domain.own_rules import InvalidRules, Rule, read_rules
from relationship_worker.domain.resubmission import is_time_zone


class PartnerWithoutNumber(StrEnum):
    """What goes onto a partner's order from its own catalogue while the partner has no number (row 3)."""

    DEFAULT = "default"
    NONE = "none"


class PublicCatalogue(StrEnum):
    """Which number a partner's order from the public catalogue carries (row 1)."""

    INDIVIDUAL_FIRST = "individual_first"
    DEFAULT_ALWAYS = "default_always"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A supplier's settings at one moment; the defaults are those of a supplier that never said anything."""

    default_customer_number: str | None = None
    time_zone: str = "Europe/Berlin"
    reminder_time: time = time(8, 0)  # local wall time in `time_zone`
    partner_without_number: PartnerWithoutNumber = PartnerWithoutNumber.DEFAULT
    public_catalogue: PublicCatalogue = PublicCatalogue.INDIVIDUAL_FIRST
    customer_number_max_length: int = 20  # code points; what the platform's own transfer format carries
    correction_window_hours: int = 72  # after an order's creation
    rules: tuple[Rule, ...] = ()  # that decide requests by themselves; the first that matches

    def __hash__(self) -> int:
        return hash(self.default_customer_number)  # looked up for every order; over all fields costs 1 µs


BUILT_IN = Settings()
NUMBER_LENGTHS = range(1, 65)  # code points
CORRECTION_WINDOWS = range(721)  # hours: none to thirty days


class InvalidSettings(ValueError):
    """A change of settings that makes no sense; the message names the setting and what it takes."""


def changed(settings: Settings, change: Mapping[str, object]) -> Settings:
    """The settings after a change: null resets one to its built-in default, absent ones stay, unknown ones are ignored.

    Raises InvalidSettings where anything in it is wrong; then none of it counts.
    """
    known = {name: value for name, value in change.items() if name in _READERS}
    # The length first: a default number and the rules in the same change are held against the new one.
    longest = _max_length(known.get("customer_number_max_length", settings.customer_number_max_length))
    new = {
        name: getattr(BUILT_IN, name) if value is None else _READERS[name](value, longest)
        for name, value in known.items()
    }
    return replace(settings, **new)  # type: ignore[arg-type]


def _max_length(value: object) -> int:
    if value is None:
        return BUILT_IN.customer_number_max_length
    return _whole("customer_number_max_length", value, NUMBER_LENGTHS)


def _whole(name: str, value: object, allowed: range) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value not in allowed:
        raise InvalidSettings(f"{name} takes a whole number from {allowed[0]} to {allowed[-1]}")
    return value


def _number(value: object, longest: int) -> str | None:
    if not isinstance(value, str):
        raise InvalidSettings("default_customer_number takes a text")
    try:
        return customer_number(value, max_length=longest)
    except InvalidCustomerNumber as why:
        raise InvalidSettings(f"default_customer_number {why}") from None


def _rules(value: object, longest: int) -> tuple[Rule, ...]:
    try:
        return read_rules(value, max_length=longest)
    except InvalidRules as why:
        raise InvalidSettings(f"rules: {why}") from None


def _zone(value: object, _: int) -> str:
    if not isinstance(value, str) or not is_time_zone(value):
        raise InvalidSettings("time_zone takes a name of the IANA time zone database, such as Europe/Berlin")
    return value


def _time(value: object, _: int) -> time:
    if isinstance(value, str) and len(value) == 5 and value[2] == ":" and value.isascii():
        hours, minutes = value[:2], value[3:]
        if hours.isdigit() and minutes.isdigit() and int(hours) < 24 and int(minutes) < 60:
            return time(int(hours), int(minutes))
    raise InvalidSettings("reminder_time takes HH:MM, from 00:00 to 23:59")


def _choice(name: str, kind: type[StrEnum], value: object) -> StrEnum:
    if isinstance(value, str) and value in list(kind):
        return kind(value)
    raise InvalidSettings(f"{name} takes {' or '.join(kind)}")


_READERS: dict[str, Callable[[object, int], object]] = {
    "default_customer_number": _number,
    "time_zone": _zone,
    "reminder_time": _time,
    "partner_without_number": lambda v, _: _choice("partner_without_number", PartnerWithoutNumber, v),
    "public_catalogue": lambda v, _: _choice("public_catalogue", PublicCatalogue, v),
    "customer_number_max_length": lambda v, _: _whole("customer_number_max_length", v, NUMBER_LENGTHS),
    "correction_window_hours": lambda v, _: _whole("correction_window_hours", v, CORRECTION_WINDOWS),
    "rules": _rules,
}
