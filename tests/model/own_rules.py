"""A supplier's own rules as the page describes them: which make sense, and what the first that matches says."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from model.customer_number_text import WHITE_SPACE, is_valid, kept_text
from model.json_text import Number

Rule = Mapping[str, object]

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LISTS = {
    "country": re.compile(r"[A-Z]{2}"),  # which of them are countries no scenario asks
    "currency": re.compile(r"[A-Z]{3}"),
    "customer_id": re.compile(r"[A-Za-z0-9._:@+-]{1,64}"),
}
_FIELDS = {"accept": {"customer_number"}, "reject": {"reason"}, "defer": {"days", "reason"}}


def are_sensible(rules: object, longest_number: int) -> bool:
    """Whether a supplier may say so."""
    if not isinstance(rules, list) or len(rules) > 100 or not all(_is_sensible(rule, longest_number) for rule in rules):
        return False
    return len({rule["name"] for rule in rules}) == len(rules)


def _is_sensible(rule: object, longest_number: int) -> bool:
    if not isinstance(rule, dict) or not {"name", "then"} <= set(rule) <= {"name", "when", "then"}:
        return False
    name, when, then = rule["name"], rule.get("when", {}), rule["then"]
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(when, dict):
        return False
    if not all(_is_condition(field, value) for field, value in when.items()):
        return False
    if not isinstance(then, dict) or len(then) != 1:
        return False
    [(action, said)] = then.items()
    if action not in _FIELDS or not isinstance(said, dict) or not set(said) <= _FIELDS[action]:
        return False
    if "customer_number" in said:
        return _is_template(said["customer_number"], longest_number)
    if "reason" in said and not _is_reason(said["reason"]):
        return False
    if action == "defer":
        days = said.get("days")
        return isinstance(days, Number) and days.text.isdigit() and 1 <= int(days.text) <= 1826
    return action == "accept" or "reason" in said


def _is_condition(field: str, value: object) -> bool:
    if field == "vat_id":
        return value in ("present", "valid")
    if field not in _LISTS or not isinstance(value, list) or not 1 <= len(value) <= 1000:
        return False
    return all(isinstance(one, str) and _LISTS[field].fullmatch(one) for one in value)


def _is_template(value: object, longest_number: int) -> bool:
    if not isinstance(value, str) or len(value) > 200 or set("{}") & set("".join(value.split("{customer_id}"))):
        return False
    return number_for(value, "x", longest_number) is not None


def _is_reason(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 500 and "\0" not in value and value.strip(WHITE_SPACE) != ""


def number_for(template: str, customer_id: str, longest: int) -> str | None:
    """The number for a customer; None where it would be none."""
    number = kept_text(customer_id.join(template.split("{customer_id}")))
    return number if number and is_valid(number, longest) else None


def first_match(rules: tuple[Rule, ...], customer_id: str, profile: object) -> Rule | None:
    """The rule whose conditions all hold."""
    told = profile if isinstance(profile, dict) else {}
    address = told.get("address")
    facts = {
        "country": _code(address.get("country") if isinstance(address, dict) else None),
        "currency": _code(told.get("currency")),
        "customer_id": customer_id,
    }
    vat_id = str(told.get("vat_id") or "").strip(WHITE_SPACE)
    for rule in rules:
        when = rule.get("when", {})
        assert isinstance(when, dict)
        wanted = when.get("vat_id")
        has_vat_id = wanted is None or (vat_id != "" and (wanted == "present" or _is_german_vat_id(vat_id)))
        if has_vat_id and all(facts[field] in of for field, of in when.items() if field != "vat_id"):
            return rule
    return None


def _code(text: object) -> str:
    return text.strip(WHITE_SPACE).upper() if isinstance(text, str) else ""


def _is_german_vat_id(text: str) -> bool:
    """By ISO 7064, modulo 11, 10. Scenarios tell no VAT ids of other countries."""
    digits = re.fullmatch(r"DE([1-9]\d{8})", re.sub("[ .-]", "", text), re.ASCII)
    if not digits:
        return False
    check = 10
    for digit in digits[1][:-1]:
        check = ((check + int(digit)) % 10 or 10) * 2 % 11
    return (11 - check) % 10 == int(digits[1][-1])


def as_a_decision(rule: Rule, customer_id: str, at: datetime, zone: str, longest: int) -> tuple[str, dict[str, object]]:
    """The decision that a person would send who did as the rule says: its type and fields; no type if it can't be made."""
    then = rule["then"]
    assert isinstance(then, dict)
    [(action, said)] = then.items()
    fields: dict[str, object] = {"decided_by": f"rule:{rule['name']}", "reason": said.get("reason")}
    if action == "reject":
        return "supplier.connection.rejected", fields
    if action == "defer":
        day = at.astimezone(ZoneInfo(zone)).date() + timedelta(days=int(said["days"].text))
        return "supplier.connection.deferred", fields | {"resubmission_date": day.isoformat()}
    if "customer_number" in said:
        fields["customer_number"] = number_for(said["customer_number"], customer_id, longest)
        if fields["customer_number"] is None:
            return "", {}
    return "supplier.connection.accepted", fields
