"""The model's reading of a supplier's own rules, held against the page and the published vectors."""

import json
from datetime import datetime
from typing import Any

import pytest

from contracts.published import vectors
from model.builders import Told, told
from model.json_text import read_json
from model.own_rules import are_sensible, as_a_decision, first_match

# What the model leaves to others: VAT ids of all countries but Germany, and which two letters are a country.
_BEYOND = (
    "All conditions hold",
    "A VAT id as it is written at home",
    "Greece",
    "Switzerland",
    "Refused: a country that",
)
_STATES = {"accepted": "partner", "rejected": "rejected", "deferred": "deferred"}
_VECTORS = [vector for vector in vectors("own-rules") if not vector["name"].startswith(_BEYOND)]


@pytest.mark.parametrize("vector", _VECTORS, ids=[vector["name"] for vector in _VECTORS])
def test_the_model_decides_by_rules_as_published(vector: dict[str, Any]) -> None:
    given, then = vector["given"], vector["then"]
    rules = read_json(json.dumps([] if given["rules"] is None else given["rules"]).encode())
    longest = given.get("settings", {}).get("customer_number_max_length", 20)
    zone = given.get("settings", {}).get("time_zone", "Europe/Berlin")

    assert are_sensible(rules, longest) == (then["outcome"] != "refused")
    if then["outcome"] == "refused":
        return
    assert isinstance(rules, list)
    rule = first_match(tuple(rules), given["customer_id"], given["profile"])
    if then["outcome"] == "open":
        assert (None if rule is None else rule["name"]) == then.get("skipped")
        return
    assert rule is not None
    at = datetime.fromisoformat(given["requested_at"])
    type_, fields = as_a_decision(rule, given["customer_id"], at, zone, longest)
    assert _STATES[type_.rpartition(".")[2]] == then["state"]
    for name in ("decided_by", "reason", "resubmission_date", "customer_number"):
        assert fields.get(name) == then[name]


ALL = {"name": "all", "then": {"accept": {"customer_number": "MP-{customer_id}"}}}


def test_a_request_is_decided_by_rule_unless_it_is_older_than_the_rules() -> None:
    desk = Told()
    desk.settings("2026-05-01T00:00:00", rules=[ALL])

    assert told(desk.request("2026-04-30T23:59:59", customer_id="old")) == ["requested"]
    assert told(desk.request("2026-05-01T00:00:00")) == ["requested", "accepted"]
    assert desk.events[-1].data["decided_by"] == "rule:all"


def test_the_same_rules_told_again_stay_as_old_as_they_were() -> None:
    desk = Told()
    desk.settings("2026-05-01T00:00:00", rules=[ALL])
    desk.settings("2026-05-03T00:00:00", rules=[ALL], time_zone="UTC")

    assert told(desk.request("2026-05-02T00:00:00")) == ["requested", "accepted"]


def test_a_decision_that_waited_comes_before_the_rules() -> None:
    desk = Told()
    desk.settings("2026-05-01T00:00:00", rules=[ALL])
    desk.reject("2026-05-02T00:00:00")
    desk.number("2026-05-02T00:00:00", "7", customer_id="d")

    assert told(desk.request("2026-05-03T00:00:00")) == ["requested", "rejected"]
    assert told(desk.request("2026-05-03T00:00:00", customer_id="d")) == [
        "requested",
        "refused not_a_partner",
        "accepted",
    ]


def test_an_open_request_is_looked_at_again_when_its_profile_is_told_anew() -> None:
    desk = Told()
    desk.settings("2026-05-01T00:00:00", rules=[ALL | {"when": {"vat_id": "valid"}}])
    desk.request("2026-05-02T00:00:00", profile={})

    assert told(desk.request("2026-05-03T00:00:00")) == []
    assert told(desk.profile("2026-05-01T12:00:00", profile={"vat_id": "DE136695976"})) == []  # older than what is kept
    assert told(desk.profile("2026-05-04T00:00:00", profile={"vat_id": "DE136695976"})) == ["accepted"]


def test_a_deferred_request_is_in_a_persons_hands() -> None:
    desk = Told()
    desk.request("2026-05-01T00:00:00")
    desk.defer("2026-05-02T00:00:00")
    desk.settings("2026-05-01T00:00:00", rules=[ALL])

    assert told(desk.request("2026-05-03T00:00:00", profile={})) == []
