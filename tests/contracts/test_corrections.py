"""The published corrections: every vector is what orders are told as facts become known, and the vectors leave out nothing."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from contracts.published import each_vector, vectors, violations
from contracts.rules_applied import an_order, answer, corrected, settings_in_turn
from relationship_worker.domain.corrections import Facts, KnownVersion
from relationship_worker.messages.times import read_time

CORRECTIONS = vectors("corrections")


@each_vector("corrections")
def test_an_order_is_told_as_facts_become_known_what_the_published_table_says(vector: dict[str, Any]) -> None:
    given = vector["given"]
    order = an_order(given["order"], time="2026-03-10T09:30:01Z")
    knew = _known(given["facts"][: given["answer_knew"]])

    first = last = answer(order, history=knew.versions, settings=list(knew.settings))
    told = []
    for number in range(given["answer_knew"] + 1, len(given["facts"]) + 1):
        anew = corrected(order, last, _known(given["facts"][:number]))
        if anew is not None:
            told.append({"fact": number, "answer": anew})
            last = anew

    assert first == vector["answer"]
    assert told == vector["corrections"]


@each_vector("corrections")
def test_a_corrections_order_and_answers_fit_their_schemas(vector: dict[str, Any]) -> None:
    assert not violations("marketplace.order.created", vector["given"]["order"])
    for told in _answers(vector):
        assert not violations("answer", told, codes_listed=True)


@each_vector("corrections")
def test_facts_never_go_back_in_time_among_their_like(vector: dict[str, Any]) -> None:
    facts = vector["given"]["facts"]
    versions = [fact["relationship"] for fact in facts if "relationship" in fact]
    changes = [fact["settings"] for fact in facts if "settings" in fact]

    assert [version["version"] for version in versions] == list(range(1, len(versions) + 1))
    for some in (versions, changes):
        times = [read_time(one["valid_from"]) for one in some]
        assert times == sorted(times)


@each_vector("corrections")
def test_no_correction_takes_a_number_back_or_tells_what_was_told_last(vector: dict[str, Any]) -> None:
    told = _answers(vector)

    for before, after in itertools.pairwise(told):
        assert after["number"] is not None
        assert (after["number"], after["source"]) != (before["number"], before["source"])


@pytest.mark.parametrize("reason", ["partner_without_number", "default_missing"])
@pytest.mark.parametrize("source", ["partner", "default"])
def test_the_vectors_fill_either_gap_with_either_number(reason: str, source: str) -> None:
    assert any(
        vector["answer"]["number"] is None and vector["answer"]["reason"] == reason and _filled(vector) == source
        for vector in CORRECTIONS
    )


@pytest.mark.parametrize("before", ["partner", "default", "none"])
@pytest.mark.parametrize("after", ["partner", "default"])
def test_the_vectors_replace_every_source_by_every_other(before: str, after: str) -> None:
    told = [_answers(vector) for vector in CORRECTIONS]

    assert any(
        (one["source"], other["source"]) == (before, after) for some in told for one, other in itertools.pairwise(some)
    )


def test_most_vectors_correct_and_many_do_not() -> None:
    silent = [vector for vector in CORRECTIONS if not vector["corrections"]]

    assert 20 <= len(silent) <= len(CORRECTIONS) - 30


def test_no_two_corrections_have_the_same_name() -> None:
    names = [vector["name"] for vector in CORRECTIONS]

    assert len(names) == len(set(names))


def _known(facts: Sequence[dict[str, Any]]) -> Facts:
    versions = [fact["relationship"] for fact in facts if "relationship" in fact]
    return Facts(
        versions=[
            KnownVersion(
                version=version["version"],
                valid_from=read_time(version["valid_from"]),
                partner=version["state"] == "partner",
                customer_number=version["customer_number"],
                brings_number=version["brings_number"],
            )
            for version in versions
        ],
        settings=settings_in_turn([fact["settings"] for fact in facts if "settings" in fact]),
    )


def _answers(vector: dict[str, Any]) -> list[dict[str, Any]]:
    return [vector["answer"], *(correction["answer"] for correction in vector["corrections"])]


def _filled(vector: dict[str, Any]) -> str | None:
    """Whose number filled the gap, later than the order was created."""
    filling = [one["answer"] for one in vector["corrections"] if one["answer"]["as_of"] != vector["answer"]["as_of"]]
    return filling[0]["source"] if filling else None
