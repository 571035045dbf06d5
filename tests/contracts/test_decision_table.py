"""The published decision table: every vector is what the worker answers, and the vectors leave out nothing."""

import itertools
from typing import Any

import pytest

from contracts.published import each_vector, vectors, violations
from contracts.rules_applied import an_order, answer, settings_in_turn
from relationship_worker.domain.corrections import KnownVersion
from relationship_worker.messages.times import read_time

CHANNELS = ("public", "private", "absent", "unknown")


@each_vector("decision-table")
def test_the_worker_answers_an_order_as_the_published_table_says(vector: dict[str, Any]) -> None:
    given = vector["given"]
    history = [
        KnownVersion(
            version=version["version"],
            partner=version["state"] == "partner",
            customer_number=version["customer_number"],
            valid_from=read_time(version["valid_from"]),
            brings_number=False,  # no matter to an order's first answer
        )
        for version in given["relationship"]
    ]

    told = answer(
        an_order(given["order"], time=given.get("event_time", "2026-03-10T09:30:01Z")),
        history=history,
        settings=settings_in_turn(given["settings"]),
        caught_up=given.get("decisions_caught_up", True),
    )

    assert told == vector["answer"]


@each_vector("decision-table")
def test_a_vectors_order_and_answer_fit_their_schemas(vector: dict[str, Any]) -> None:
    assert not violations("marketplace.order.created", vector["given"]["order"])
    assert not violations("answer", vector["answer"], codes_listed=True)


@pytest.mark.parametrize(
    ("rule", "channel"),
    [
        *itertools.product((1, 4, 7), CHANNELS),
        (2, "public"),
        *itertools.product((3,), ("private", "absent", "unknown")),
        *itertools.product((5,), ("public", "absent", "unknown")),
        (6, "private"),
    ],
)
def test_the_vectors_hold_every_row_on_every_channel_it_knows(rule: int, channel: str) -> None:
    assert any(_channel(v) == channel for v in vectors("decision-table") if v["answer"]["rule"] == rule)


@pytest.mark.parametrize("rule", range(1, 8))
@pytest.mark.parametrize("switch", [("partner_without_number", "none"), ("public_catalogue", "default_always")])
def test_the_vectors_hold_every_row_under_both_values_of_both_switches(rule: int, switch: tuple[str, str]) -> None:
    name, value = switch
    said = [
        any(change.get(name) == value for change in v["given"]["settings"])
        for v in vectors("decision-table")
        if v["answer"]["rule"] == rule
    ]

    assert set(said) == {True, False}


@pytest.mark.parametrize("rule", [5, 6, 7])
@pytest.mark.parametrize("state", ["requested", "deferred", "rejected", "ended", "withdrawn", None])
def test_the_vectors_hold_every_way_not_to_be_a_partner(rule: int, state: str | None) -> None:
    assert any(_newest_state(v) == state for v in vectors("decision-table") if v["answer"]["rule"] == rule)


def test_the_vectors_hold_every_reason_source_and_flag() -> None:
    answers = [v["answer"] for v in vectors("decision-table")]

    assert {a["source"] for a in answers} == {"partner", "default", "none"}
    assert {a["reason"] for a in answers} == {
        None,
        "partner_without_number",
        "not_a_partner",
        "not_a_partner_on_private_catalogue",
        "default_missing",
        "public_catalogue_default",
    }
    assert {flag for a in answers for flag in a["flags"]} == {
        "no_customer",
        "unknown_channel",
        "private_catalogue",
        "decisions_not_caught_up",
    }


def test_no_two_vectors_have_the_same_name() -> None:
    names = [v["name"] for v in vectors("decision-table")]

    assert len(names) == len(set(names))


def _channel(vector: dict[str, Any]) -> str:
    said = vector["given"]["order"].get("channel")
    if said is None:
        return "absent"
    return said if said in ("public", "private") else "unknown"


def _newest_state(vector: dict[str, Any]) -> str | None:
    versions = vector["given"]["relationship"]
    return versions[-1]["state"] if versions else None
