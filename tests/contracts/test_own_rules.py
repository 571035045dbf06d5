"""The published vectors of a supplier's own rules: which decides, what it decides, and which rules are refused."""

import json
from typing import Any

from contracts.published import each_vector, violations
from relationship_worker.domain.own_rules import NumberNotMade, decide_by_rule
from relationship_worker.domain.relationship import Changed, Relationship, State, decide
from relationship_worker.domain.supplier import BUILT_IN, InvalidSettings, changed
from relationship_worker.messages.incoming import asking
from relationship_worker.messages.times import read_time


@each_vector("own-rules")
def test_a_request_is_decided_by_rules_as_published(vector: dict[str, Any]) -> None:
    assert _became(**vector["given"]) == vector["then"]


@each_vector("own-rules")
def test_rules_that_are_taken_fit_the_published_schema(vector: dict[str, Any]) -> None:
    told = {"supplier_id": "L-20417", "rules": vector["given"]["rules"], **vector["given"].get("settings", {})}

    assert vector["then"]["outcome"] == "refused" or not violations("supplier.settings.changed", told)


def _became(
    *,
    rules: object,
    customer_id: str,
    profile: dict[str, object] | None,
    requested_at: str,
    settings: dict[str, object] | None = None,
) -> dict[str, object]:
    try:
        known = changed(BUILT_IN, {**(settings or {}), "rules": rules})
    except InvalidSettings as why:
        return {"outcome": "refused", "reason": "invalid_settings", "detail": str(why)}
    at = read_time(requested_at)
    by_rule = decide_by_rule(
        known.rules,
        asking(customer_id, None if profile is None else json.dumps(profile)),
        at=at,
        time_zone=known.time_zone,
        max_length=known.customer_number_max_length,
    )
    if by_rule is None:
        return {"outcome": "open"}
    if isinstance(by_rule, NumberNotMade):
        return {"outcome": "open", "skipped": by_rule.rule}
    outcome = decide(Relationship(state=State.REQUESTED, version=1, valid_from=at), by_rule, at=at)
    assert isinstance(outcome, Changed)
    version = outcome.version
    day = version.resubmission_date
    return {
        "outcome": "decided",
        "state": version.state,
        "decided_by": version.decided_by,
        "reason": version.reason,
        "resubmission_date": None if day is None else day.isoformat(),
        "customer_number": version.customer_number,
    }
