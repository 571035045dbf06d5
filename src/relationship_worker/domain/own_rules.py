"""A supplier's own rules, which decide requests by themselves: which make sense, which one fires, and what it decides."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache, partial
from importlib.resources import files
from typing import assert_never
from zoneinfo import ZoneInfo

from stdnum.eu import vat as eu_vat
from stdnum.util import get_cc_module

from relationship_worker.domain.customer_number_text import WHITE_SPACE, InvalidCustomerNumber, customer_number
from relationship_worker.domain.relationship import Judged, Kind

MOST_RULES = 100  # a list that a person can still read from top to bottom; each is tried for every request
MOST_VALUES = 1_000  # in one list; who knows more customers one by one sends decisions, not a rule
DAYS = range(1, 1827)  # as far as a deferral by a person reaches: five years
LONGEST_REASON = 500  # characters; it goes out with every decision of the rule
LONGEST_TEMPLATE = 200  # characters; a number has 64 at the most, the rest is for placeholders
LONGEST_VAT_ID = 32  # characters, separators included; the longest of all countries has some 20

CUSTOMER_ID = "{customer_id}"  # the one placeholder of a template

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_PARTY = re.compile(r"[A-Za-z0-9._:@+-]{1,64}", re.ASCII)


class VatId(StrEnum):
    """What a rule asks of a VAT id: that there is one, or that it is well-formed, check digits included."""

    PRESENT = "present"
    VALID = "valid"


@dataclass(frozen=True, kw_only=True)
class Accept:
    """The customer becomes a partner, with the number that the template makes, or without one."""

    customer_number: str | None = None  # the template


@dataclass(frozen=True, kw_only=True)
class Reject:
    """The request is turned down."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Defer:
    """The request comes back in so many days, counted from its own in the supplier's time zone."""

    days: int
    reason: str | None = None


Action = Accept | Reject | Defer


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule. All of its conditions must hold; None is no condition."""

    name: str
    then: Action
    country: frozenset[str] | None = None
    currency: frozenset[str] | None = None
    vat_id: VatId | None = None
    customer_id: frozenset[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What a rule may look at: the customer's id, and the profile as it was told, unjudged."""

    customer_id: str
    country: str | None = None
    currency: str | None = None
    vat_id: str | None = None


@dataclass(frozen=True)
class NumberNotMade:
    """The rule matches, but what its template makes for this customer is no customer number: a person decides."""

    rule: str
    why: str


class InvalidRules(ValueError):
    """Rules that make no sense; the message names the rule, the field and what it takes, and repeats no value."""


def decide_by_rule(
    rules: Sequence[Rule], asking: Asking, *, at: datetime, time_zone: str, max_length: int
) -> Judged | NumberNotMade | None:
    """What the first rule that matches decides; None where none does.

    A rule that matches and can't make its number ends the search: it must not accept without a number, and what comes
    behind it was not meant for this customer.
    """
    rule = next((rule for rule in rules if matches(rule, asking)), None)
    if rule is None:
        return None
    decide = partial(_decision, rule.name, at)
    match rule.then:
        case Accept():
            try:
                number = number_for(rule.then.customer_number, asking.customer_id, max_length=max_length)
            except InvalidCustomerNumber as why:
                return NumberNotMade(rule.name, str(why))
            return decide(Kind.ACCEPT, customer_number=number)
        case Reject():
            return decide(Kind.REJECT, reason=rule.then.reason)
        case Defer():
            day = days_after(at, rule.then.days, time_zone=time_zone)
            return decide(Kind.DEFER, reason=rule.then.reason, resubmission_date=day)
        case _:
            assert_never(rule.then)


def _decision(
    rule: str,
    at: datetime,
    kind: Kind,
    *,
    reason: str | None = None,
    customer_number: str | None = None,
    resubmission_date: date | None = None,
) -> Judged:
    return Judged(
        kind=kind,
        at=at,
        decided_by=f"rule:{rule}",
        reason=reason,
        customer_number=customer_number,
        resubmission_date=resubmission_date,
    )


def matches(rule: Rule, asking: Asking) -> bool:
    """True where all conditions hold. Codes are compared trimmed and in upper case; what is not told fits no list."""
    return (
        (rule.customer_id is None or asking.customer_id in rule.customer_id)
        and (rule.country is None or _code(asking.country) in rule.country)
        and (rule.currency is None or _code(asking.currency) in rule.currency)
        and (rule.vat_id is None or _has_vat_id(asking, rule.vat_id))
    )


def _code(text: str | None) -> str:
    code = (text or "").strip(WHITE_SPACE)
    return code.upper() if code.isascii() else ""  # no code; and a lone ß in upper case would be South Sudan


def _has_vat_id(asking: Asking, wanted: VatId) -> bool:
    told = (asking.vat_id or "").strip(WHITE_SPACE)
    return bool(told) and (wanted is VatId.PRESENT or is_well_formed(told, country=_code(asking.country)))


def is_well_formed(vat_id: str, *, country: str) -> bool:
    """True for a VAT id of the European Union with its prefix, or one as it is written in the customer's country.

    Form and check digits alone: whether it was ever given to anybody only the authorities know.
    """
    if len(vat_id) > LONGEST_VAT_ID:
        return False
    if eu_vat.is_valid(vat_id):
        return True
    module = get_cc_module(country, "vat") if _COUNTRY.fullmatch(country) else None
    return module is not None and module.is_valid(vat_id)


def number_for(template: str | None, customer_id: str, *, max_length: int) -> str | None:
    """The number that a template makes for a customer, as it is kept; none without one. Raises InvalidCustomerNumber."""
    if template is None:
        return None
    number = customer_number(template.replace(CUSTOMER_ID, customer_id), max_length=max_length)
    if number is None:
        raise InvalidCustomerNumber("is blank")
    return number


def days_after(at: datetime, days: int, *, time_zone: str) -> date:
    """The day so many days after the one that an instant falls on in a zone."""
    return at.astimezone(ZoneInfo(time_zone)).date() + timedelta(days=days)


def read_rules(value: object, *, max_length: int) -> tuple[Rule, ...]:
    """A supplier's rules out of JSON. Raises InvalidRules; then none of them counts.

    Within a rule nothing is overlooked: an unknown key, or null, may be a condition that was meant to narrow it.
    """
    if not isinstance(value, list) or len(value) > MOST_RULES:
        raise InvalidRules(f"takes a list of at most {MOST_RULES} rules")
    rules: list[Rule] = []
    for n, told in enumerate(value, 1):
        rule = _rule(told, n, max_length)
        if rule.name in {other.name for other in rules}:
            raise InvalidRules(f"rule {n} ({rule.name}): name takes one that no other rule has")
        rules.append(rule)
    return tuple(rules)


def _rule(told: object, n: int, max_length: int) -> Rule:
    name = told.get("name") if isinstance(told, Mapping) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidRules(f"rule {n}: name takes 1 to 64 letters, digits and . _ -")
    place = f"rule {n} ({name})"
    rule = _object(told, place, ("name", "when", "then"))
    when = _object(rule.get("when", {}), f"{place}: when", tuple(_CONDITIONS))
    conditions = {key: read(when[key], f"{place}: when.{key}") for key, read in _CONDITIONS.items() if key in when}
    then = _action(rule.get("then"), f"{place}: then", max_length)
    return Rule(name=name, then=then, **conditions)  # type: ignore[arg-type]


def _action(told: object, place: str, max_length: int) -> Action:
    then = _object(told, place, ("accept", "reject", "defer"))
    if len(then) != 1:
        raise InvalidRules(f"{place} takes one of accept, reject, defer")
    if "accept" in then:
        inner = _object(then["accept"], f"{place}.accept", ("customer_number",))
        if "customer_number" not in inner:
            return Accept()
        return Accept(
            customer_number=_template(inner["customer_number"], f"{place}.accept.customer_number", max_length)
        )
    if "reject" in then:
        inner = _object(then["reject"], f"{place}.reject", ("reason",))
        return Reject(reason=_reason(inner.get("reason"), f"{place}.reject.reason"))
    inner = _object(then["defer"], f"{place}.defer", ("days", "reason"))
    days = inner.get("days")
    if not isinstance(days, int) or isinstance(days, bool) or days not in DAYS:
        raise InvalidRules(f"{place}.defer.days takes a whole number from {DAYS[0]} to {DAYS[-1]}")
    if "reason" not in inner:
        return Defer(days=days)
    return Defer(days=days, reason=_reason(inner["reason"], f"{place}.defer.reason"))


def _object(told: object, place: str, fields: tuple[str, ...]) -> Mapping[str, object]:
    """A JSON object of known fields alone."""
    if not isinstance(told, Mapping) or not told.keys() <= set(fields):
        raise InvalidRules(f"{place} takes an object with no other fields than {', '.join(fields)}")
    return told


def _template(told: object, place: str, max_length: int) -> str:
    """A text that makes a number for a customer id of one character, the shortest that there is."""
    if not isinstance(told, str) or len(told) > LONGEST_TEMPLATE:
        raise InvalidRules(f"{place} takes a text of at most {LONGEST_TEMPLATE} characters")
    if set(told.replace(CUSTOMER_ID, "")) & set("{}"):
        raise InvalidRules(f"{place} takes no other placeholder than {CUSTOMER_ID}")
    try:
        number_for(told, "0", max_length=max_length)
    except InvalidCustomerNumber as why:
        raise InvalidRules(f"{place} takes a template of customer numbers; what this one makes {why}") from None
    return told


def _reason(told: object, place: str) -> str:
    readable = isinstance(told, str) and len(told) <= LONGEST_REASON and not _UNREADABLE.search(told)
    if not isinstance(told, str) or not readable or not told.strip(WHITE_SPACE):
        raise InvalidRules(
            f"{place} takes a text of 1 to {LONGEST_REASON} characters, without U+0000 or lone surrogates"
        )
    return told


_UNREADABLE = re.compile("[\0\ud800-\udfff]")


def _list_of(what: str, fits: Callable[[str], object]) -> Callable[[object, str], frozenset[str]]:
    def read(told: object, place: str) -> frozenset[str]:
        if not isinstance(told, list) or not 0 < len(told) <= MOST_VALUES:
            raise InvalidRules(f"{place} takes a list of 1 to {MOST_VALUES} {what}")
        for n, value in enumerate(told, 1):
            if not isinstance(value, str) or not fits(value):
                raise InvalidRules(f"{place} takes {what}; its value {n} is none")
        return frozenset(told)

    return read


def _vat_id(told: object, place: str) -> VatId:
    if isinstance(told, str) and told in list(VatId):
        return VatId(told)
    raise InvalidRules(f"{place} takes {' or '.join(VatId)}")


@lru_cache(maxsize=1)
def countries() -> frozenset[str]:
    """The countries of ISO 3166-1 alpha-2, out of the time zone database: a `UK` or `EL` would match nobody, silently."""
    table = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text("utf-8")
    return frozenset(line[:2] for line in table.splitlines() if _COUNTRY.fullmatch(line.partition("\t")[0]))


_CONDITIONS: dict[str, Callable[[object, str], object]] = {
    "country": _list_of("countries as two capital letters of ISO 3166-1, such as DE", lambda c: c in countries()),
    # Currencies come and go, and none of our dependencies keeps their list: three capital letters do.
    "currency": _list_of("currencies as three capital letters of ISO 4217, such as EUR", _CURRENCY.fullmatch),
    "vat_id": _vat_id,
    "customer_id": _list_of("customer ids (1 to 64 letters, digits and . _ : @ + -)", _PARTY.fullmatch),
}
