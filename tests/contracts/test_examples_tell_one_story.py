"""The published examples are one story: what the outputs say is what the rules make of the inputs."""

from dataclasses import dataclass, field
from functools import cache

from contracts.models import CORRECTED, STRUCTURED
from contracts.published import Example, each, examples, types_by_topic
from contracts.rules_applied import answer, corrected
from relationship_worker.domain.corrections import Facts, KnownSettings, KnownVersion
from relationship_worker.domain.relationship import (
    Changed,
    Refusal,
    Refused,
    Relationship,
    State,
    Version,
    after,
    decide,
    judge_alone,
)
from relationship_worker.domain.resubmission import due_at
from relationship_worker.domain.supplier import BUILT_IN, InvalidSettings, changed
from relationship_worker.messages.envelope import Envelope, open_envelope
from relationship_worker.messages.incoming import RelationshipInput, SettingsInput, read_input
from relationship_worker.messages.orders import ORDER_CREATED
from relationship_worker.messages.outgoing import TRANSITIONS
from relationship_worker.messages.times import read_time, write_time

INPUTS = [example for example in examples() if example.is_input and example.kind != STRUCTURED]


@dataclass
class Story:
    """What every input led to, by its event id. There is one supplier."""

    versions: dict[str, Version] = field(default_factory=dict)
    refusals: dict[str, tuple[Refusal, State | None, int]] = field(default_factory=dict)
    history: dict[str, list[KnownVersion]] = field(default_factory=dict)
    settings: list[KnownSettings] = field(default_factory=list)

    def on_settings(self, item: SettingsInput) -> None:
        before = self.settings[-1].settings if self.settings else BUILT_IN
        try:
            after = changed(before, item.change)
            known = KnownSettings(
                change=len(self.settings) + 1,
                valid_from=item.event.time,
                settings=after,
                brings_default=item.change.get("default_customer_number") is not None,
            )
            self.settings.append(known)
        except InvalidSettings:
            self.refusals[item.event.id] = (Refusal.INVALID_SETTINGS, None, 0)

    def on_relationship(self, item: RelationshipInput, now: Relationship) -> Relationship:
        longest = BUILT_IN.customer_number_max_length
        judged = judge_alone(item.told, now=item.event.time, max_length=longest)
        outcome = judged if isinstance(judged, Refused) else decide(now, judged, at=item.event.time)
        if isinstance(outcome, Refused):
            self.refusals[item.event.id] = (outcome.reason, now.state, now.version)
        if not isinstance(outcome, Changed):
            return now
        version = outcome.version
        self.versions[item.event.id] = version
        known = KnownVersion(
            version=version.version,
            partner=version.state is State.PARTNER,
            customer_number=version.customer_number,
            valid_from=version.valid_from,
            brings_number=version.brings_number,
        )
        self.history.setdefault(item.customer_id, []).append(known)
        return after(version)


@cache
def story() -> Story:
    """The examples of inputs, in the order of their times."""
    told = Story()
    relationships: dict[str, Relationship] = {}
    for event in sorted((_opened(one) for one in INPUTS if one.kind != ORDER_CREATED), key=lambda e: e.time):
        item = read_input(event)
        if isinstance(item, SettingsInput):
            told.on_settings(item)
        elif isinstance(item, RelationshipInput):
            now = relationships.get(item.customer_id, Relationship())
            relationships[item.customer_id] = told.on_relationship(item, now)
    return told


def of_kinds(*kinds: str) -> list[Example]:
    return [example for example in examples() if example.kind in kinds]


@each(of_kinds(*(model.type for model in TRANSITIONS.values())))
def test_a_transition_is_the_version_that_its_cause_made(example: Example) -> None:
    version = story().versions[example.headers["ce_causationid"]]
    day = version.resubmission_date
    expected = {
        "version": version.version,
        "state": version.state,
        "previous_state": version.previous_state,
        "decided_at": write_time(version.valid_from),
        "decided_by": version.decided_by,
        "reason": version.reason,
        "resubmission_date": None if day is None else day.isoformat(),
        "customer_number": version.customer_number if version.state is State.PARTNER else None,
        "previously_rejected": version.previously_rejected,
    }

    assert example.data is not None
    assert {name: example.data[name] for name in expected} == expected


@each(of_kinds("relationship.customer-number-changed"))
def test_a_change_of_number_is_the_version_that_its_cause_made(example: Example) -> None:
    version = story().versions[example.headers["ce_causationid"]]

    assert example.data is not None
    assert not version.is_transition
    assert (example.data["version"], example.data["customer_number"], example.data["previous"]) == (
        version.version,
        version.customer_number,
        version.previous_number,
    )


@each(of_kinds("relationship.decision-refused"))
def test_a_refusal_is_the_one_that_its_cause_met(example: Example) -> None:
    assert example.data is not None
    told = (example.data["reason"], example.data["state"], example.data["version"])

    assert told == story().refusals[example.headers["ce_causationid"]]


@each(of_kinds("order.enriched"))
def test_an_enriched_order_carries_the_answer_of_its_day(example: Example) -> None:
    assert example.data is not None
    order = _order(example.headers["ce_causationid"])
    caught_up = "decisions_not_caught_up" not in example.data["customer_number"]["flags"]

    assert example.data["customer_number"] == _answer(order, caught_up=caught_up)


@each(of_kinds("order.customer-number-missing"))
def test_a_number_is_missing_where_the_answer_has_none(example: Example) -> None:
    assert example.data is not None
    told = _answer(_order(example.headers["ce_causationid"]))

    assert told["number"] is None
    assert told["reason"] == example.data["reason"]


@each(of_kinds(CORRECTED))
def test_a_correction_is_what_its_fact_made_of_what_was_told_without_it(example: Example) -> None:
    assert example.data is not None
    (order,) = (one for one in INPUTS if (one.data or {}).get("order_id") == example.data["order_id"])
    (cause,) = (_opened(one) for one in INPUTS if one.headers["ce_id"] == example.headers["ce_causationid"])
    history, settings = _history(example), story().settings
    without = {
        "history": [version for version in history if version.valid_from < cause.time],
        "settings": [change for change in settings if change.valid_from < cause.time],
    }
    known = Facts(
        versions=[version for version in history if version.valid_from <= cause.time],
        settings=[change for change in settings if change.valid_from <= cause.time],
    )

    told = answer(_opened(order), **without)

    assert example.data["previous"] == told
    assert example.data["customer_number"] == corrected(_opened(order), told, known)
    assert read_time(example.headers["ce_time"]) > cause.time


@each(of_kinds("relationship.reminder-due"))
def test_a_reminder_is_due_when_its_deferral_says(example: Example) -> None:
    assert example.data is not None
    version = story().versions[example.headers["ce_causationid"]]
    newest = story().settings[-1].settings
    assert version.resubmission_date is not None

    due = due_at(version.resubmission_date, time_zone=newest.time_zone, reminder_time=newest.reminder_time)

    assert example.data["due_at"] == write_time(due)
    assert example.data["deferred_at"] == write_time(version.valid_from)
    assert example.data["overdue"] == (due <= version.valid_from)
    assert example.data["reason"] == version.reason


def _opened(example: Example) -> Envelope:
    return open_envelope(example.record_headers, example.value, types_by_topic()[example.topic])


def _order(id_: str) -> Envelope:
    (order,) = (one for one in INPUTS if one.headers["ce_id"] == id_)
    return _opened(order)


def _answer(order: Envelope, *, caught_up: bool = True) -> dict[str, object]:
    (example,) = (one for one in INPUTS if one.headers["ce_id"] == order.id)
    return answer(order, history=_history(example), settings=story().settings, caught_up=caught_up)


def _history(example: Example) -> list[KnownVersion]:
    """The versions of the customer that an example is about."""
    return story().history.get(str((example.data or {}).get("customer_id")), [])
