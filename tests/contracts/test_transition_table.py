"""The published transition table: every vector is what the worker decides, and every cell is there."""

import itertools
from datetime import datetime
from typing import Any

import pytest

from contracts.published import each_vector, vectors, violations
from contracts.rules_applied import an_event
from relationship_worker.domain.relationship import (
    Changed,
    Kind,
    Outcome,
    Parked,
    Refusal,
    Refused,
    Relationship,
    State,
    Unchanged,
    decide,
    judge_alone,
)
from relationship_worker.domain.supplier import BUILT_IN
from relationship_worker.messages.incoming import MODELS, RelationshipInput, read_input
from relationship_worker.messages.outgoing import TRANSITIONS, CustomerNumberChanged
from relationship_worker.messages.times import read_time

PAIR = {"supplier_id": "L-20417", "customer_id": "K-100348"}
NOT_ABOUT_ONE_RELATIONSHIP = {"supplier.settings.changed", "marketplace.customer.erased"}


@each_vector("transition-table")
def test_the_worker_decides_an_input_as_the_published_table_says(vector: dict[str, Any]) -> None:
    given, told = vector["given"], vector["input"]
    item = read_input(an_event(told["type"], {**PAIR, **told["data"]}, time=told["time"]))
    assert isinstance(item, RelationshipInput)

    outcome = _decide(item, _relationship(given), now=read_time(given.get("now", told["time"])))

    assert _as_published(outcome) == vector["then"]


@each_vector("transition-table")
def test_a_vectors_input_fits_its_schema_unless_it_is_refused_for_it(vector: dict[str, Any]) -> None:
    misfits = bool(violations(vector["input"]["type"], {**PAIR, **vector["input"]["data"]}))

    assert not misfits or vector["then"].get("reason") == "invalid_resubmission_date"


@pytest.mark.parametrize(
    ("state", "type_"), list(itertools.product(State, sorted(set(MODELS) - NOT_ABOUT_ONE_RELATIONSHIP)))
)
def test_every_cell_of_the_transition_table_is_published(state: State, type_: str) -> None:
    cells = [v for v in vectors("transition-table") if v["name"].startswith("Table: ")]

    assert len([c for c in cells if (c["given"]["state"], c["input"]["type"]) == (state, type_)]) == 1


def test_every_refusal_of_a_decision_is_published() -> None:
    reasons = {v["then"]["reason"] for v in vectors("transition-table") if v["then"]["outcome"] == "refused"}

    assert reasons == set(Refusal) - {Refusal.INVALID_SETTINGS}


def _relationship(given: dict[str, Any]) -> Relationship:
    return Relationship(
        state=State(given["state"]),
        version=given["version"],
        valid_from=None if given["valid_from"] is None else read_time(given["valid_from"]),
        customer_number=given["customer_number"],
        previously_rejected=given["previously_rejected"],
    )


def _decide(item: RelationshipInput, relationship: Relationship, *, now: datetime) -> Outcome:
    judged = judge_alone(item.told, now=now, max_length=BUILT_IN.customer_number_max_length)
    if isinstance(judged, Refused):
        return judged
    return decide(relationship, judged, at=item.told.at)


def _as_published(outcome: Outcome) -> dict[str, Any]:
    match outcome:
        case Changed(version):
            model = TRANSITIONS[version.state] if version.is_transition else CustomerNumberChanged
            return {
                "outcome": "changed",
                "event": model.type,
                "state": version.state,
                "version": version.version,
                "customer_number": version.customer_number,
                "previously_rejected": version.previously_rejected,
            }
        case Unchanged():
            return {"outcome": "unchanged"}
        case Parked():
            return {"outcome": "parked"}
        case Refused(reason):
            return {"outcome": "refused", "reason": reason}


def test_the_kinds_of_inputs_are_the_columns_of_the_published_table() -> None:
    types = {v["input"]["type"] for v in vectors("transition-table")}

    assert len(types) == len(Kind)
