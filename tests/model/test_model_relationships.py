"""The model's reading of relationships, held against sentences of the pages."""

from datetime import UTC, datetime

import pytest

from model.builders import NOW, Told, told


@pytest.mark.parametrize(
    ("before", "input_", "outcome"),
    [
        ("", "withdraw", "refused unknown_relationship"),
        ("", "profile", "refused unknown_relationship"),
        ("request", "request", None),
        ("request", "withdraw", "withdrawn"),
        ("request", "end", "refused not_a_partner"),
        ("request", "number", "refused not_a_partner"),
        ("request defer", "defer", "deferred"),
        ("request defer", "request", None),
        ("request accept", "accept", None),
        ("request accept", "withdraw", "refused already_partner"),
        ("request accept", "reject", "refused already_partner"),
        ("request accept", "defer", "refused already_partner"),
        ("request accept", "end", "ended"),
        ("request accept", "number", "customer-number-changed"),
        ("request reject", "request", "requested"),
        ("request reject", "accept", "accepted"),
        ("request reject", "reject", None),
        ("request reject", "withdraw", "refused not_open"),
        ("request accept end", "request", "requested"),
        ("request accept end", "reject", "rejected"),
        ("request accept end", "end", None),
        ("request withdraw", "withdraw", None),
        ("request withdraw", "accept", "refused withdrawn"),
        ("request withdraw", "reject", "refused withdrawn"),
        ("request withdraw", "request", "requested"),
    ],
)
def test_the_table_decides(before: str, input_: str, outcome: str | None) -> None:
    desk = Told()
    for earlier in before.split():
        getattr(desk, earlier)("2026-01-01T00:00:00")

    arguments = ("4711",) if input_ == "number" else ()
    outcomes = getattr(desk, input_)("2026-01-02T00:00:00", *arguments)

    assert told(outcomes) == ([outcome] if outcome else [])


def test_parked_decisions_follow_their_request_in_order_of_arrival_and_are_not_older_than_it() -> None:
    desk = Told()
    desk.defer("2026-01-01T00:00:00", "2026-01-15", reason="holiday")
    desk.number("2026-01-02T00:00:00", "early")
    desk.accept("2026-03-01T00:00:00", "4711")

    outcomes = desk.request("2026-02-01T00:00:00")

    assert told(outcomes) == ["requested", "deferred", "refused not_a_partner", "accepted"]
    assert [event.data.get("decided_at") for event in desk.events] == [
        datetime(2026, 2, 1, tzinfo=UTC),
        datetime(2026, 2, 1, tzinfo=UTC),
        None,
        datetime(2026, 3, 1, tzinfo=UTC),
    ]
    assert [event.cause.id for event in desk.events] == ["e4", "e1", "e2", "e3"]
    assert desk.model.reminders_due(NOW) == []  # superseded in the same moment


def test_what_is_older_than_the_newest_version_is_stale_only_where_it_would_change_something() -> None:
    desk = Told()
    desk.request("2026-01-01T00:00:00")
    desk.accept("2026-01-05T00:00:00", "4711")

    assert told(desk.number("2026-01-04T23:59:59.999999", "0815")) == ["refused stale"]
    assert told(desk.accept("2026-01-02T00:00:00")) == []
    assert told(desk.reject("2026-01-02T00:00:00")) == ["refused already_partner"]
    assert told(desk.number("2026-01-05T00:00:00", "0815")) == ["customer-number-changed"]


def test_a_number_stays_through_an_end_but_counts_only_for_a_partner() -> None:
    desk = Told()
    desk.request("2026-01-01T00:00:00")
    desk.accept("2026-01-02T00:00:00", " 004711\u00a0")
    desk.end("2026-01-03T00:00:00")
    desk.accept("2026-01-04T00:00:00")

    assert [event.data["customer_number"] for event in desk.events] == [None, "004711", None, "004711"]
    assert [event.data["version"] for event in desk.events] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        ("12345678901234567890", "accepted"),
        ("123456789012345678901", "refused invalid_customer_number"),
        ("u\u0308" * 20, "accepted"),
        ("47\u200b11", "refused invalid_customer_number"),
        ("\x1f4711", "refused invalid_customer_number"),
        ("\u20284711\u3000", "accepted"),
        ("", "accepted"),
        (4711, "dead letter invalid_data"),
        ("47\x0011", "dead letter invalid_data"),
    ],
)
def test_a_number_is_taken_as_text_or_refused(number: object, outcome: str) -> None:
    desk = Told()
    desk.request("2026-01-01T00:00:00")

    assert told(desk.accept("2026-01-02T00:00:00", customer_number=number)) == [outcome]


def test_an_accept_with_an_empty_number_keeps_the_number_and_an_assignment_of_null_removes_it() -> None:
    desk = Told()
    desk.request("2026-01-01T00:00:00")
    desk.accept("2026-01-02T00:00:00", "4711")

    assert told(desk.accept("2026-01-03T00:00:00", "  ")) == []
    assert told(desk.accept("2026-01-03T00:00:00", "0815")) == ["customer-number-changed"]
    assert told(desk.number("2026-01-04T00:00:00", None)) == ["customer-number-changed"]
    assert told(desk.number("2026-01-05T00:00:00", "")) == []


def test_what_is_wrong_by_itself_is_refused_in_every_state() -> None:
    desk = Told()

    assert told(desk.request("2026-06-01T12:05:00.000001")) == ["refused from_the_future"]
    assert told(desk.accept("2026-01-01T00:00:00", "a\u202eb")) == ["refused invalid_customer_number"]
    assert told(desk.defer("2026-01-01T00:00:00", "2026-02-30")) == ["refused invalid_resubmission_date"]
    assert told(desk.request("2026-06-01T12:05:00")) == ["requested"]


@pytest.mark.parametrize(
    ("time", "until", "outcome"),
    [
        ("2024-02-29T12:00:00", "2029-02-28", "deferred"),
        ("2024-02-29T12:00:00", "2029-03-01", "refused invalid_resubmission_date"),
        ("2026-01-01T00:00:00", "2031-01-01", "deferred"),
        ("2026-01-01T00:00:00", "2031-01-02", "refused invalid_resubmission_date"),
        ("2026-01-01T00:00:00", "2000-01-01", "deferred"),
        ("2026-01-01T00:00:00", "1999-12-31", "refused invalid_resubmission_date"),
        ("2026-01-01T00:00:00", "", "refused invalid_resubmission_date"),
        ("2026-01-01T00:00:00", "2026-02-01T08:00:00Z", "refused invalid_resubmission_date"),
        ("2026-01-01T00:00:00", 20260201, "dead letter invalid_data"),
        ("2026-01-01T00:00:00", None, "deferred"),
    ],
)
def test_a_resubmission_date_is_a_day_within_five_years(time: str, until: object, outcome: str) -> None:
    desk = Told()
    desk.request("2024-01-01T00:00:00")

    assert told(desk.defer(time, until)) == [outcome]


def test_previously_rejected_holds_from_the_request_after_a_rejection_until_the_acceptance() -> None:
    desk = Told()
    for input_ in ("request", "reject", "request", "withdraw", "request", "reject", "accept", "end"):
        getattr(desk, input_)("2026-01-01T00:00:00")

    flags = [event.data["previously_rejected"] for event in desk.events]

    assert flags == [False, False, True, True, True, True, False, False]


def test_the_same_event_again_is_nothing_and_with_other_data_a_dead_letter() -> None:
    desk = Told()
    first = {"supplier_id": "s", "customer_id": "c"}
    desk._take("marketplace.connection.requested", "2026-01-01T00:00:00", first)
    desk._inputs = 0
    assert desk._take("marketplace.connection.requested", "2026-02-02T00:00:00", first) == []
    desk._inputs = 0
    assert told(desk._take("marketplace.connection.requested", "2026-01-01T00:00:00", first | {"x": 1})) == [
        "dead letter conflicting_event_id"
    ]
    desk._inputs = 0
    assert told(desk._take("supplier.connection.accepted", "2026-01-02T00:00:00", first)) == ["accepted"]


def test_a_number_is_shared_with_another_partner_or_with_the_default() -> None:
    desk = Told()
    desk.settings("2025-01-01T00:00:00", default_customer_number="D")
    for customer in ("c", "d", "e"):
        desk.request("2026-01-01T00:00:00", customer_id=customer)
    desk.accept("2026-01-02T00:00:00", "G")
    desk.accept("2026-01-03T00:00:00", "G", customer_id="d")
    desk.accept("2026-01-03T00:00:00", "D", customer_id="e")
    desk.end("2026-01-04T00:00:00")
    desk.number("2026-01-05T00:00:00", "H", customer_id="e")

    shared = [event.data["shared"] for event in desk.events if "shared" in event.data]

    assert shared == [False, True, True, False]


def test_reminders_come_once_per_deferral_by_the_newest_settings() -> None:
    desk = Told()
    desk.request("2026-01-01T00:00:00")
    desk.defer("2026-05-01T00:00:00", "2026-06-02", reason="later")
    assert desk.model.reminders_due(NOW) == []

    desk.settings("2026-05-02T00:00:00", time_zone="Pacific/Kiritimati", reminder_time="00:00")
    (reminder,) = desk.model.reminders_due(NOW)
    assert (reminder.due_at, reminder.data["overdue"]) == (datetime(2026, 6, 1, 10, tzinfo=UTC), False)
    assert desk.model.reminders_due(NOW) == []

    desk.defer("2026-05-03T00:00:00", "2026-05-02")
    (overdue,) = desk.model.reminders_due(NOW)
    assert (overdue.data["version"], overdue.data["overdue"]) == (3, True)


def test_a_reminder_of_a_deferral_that_was_live_only_between_two_looks_may_have_been_told() -> None:
    desk = Told()
    desk.request("2026-01-01T00:00:00")
    desk.defer("2026-05-01T00:00:00", "2026-04-02")
    desk.defer("2026-05-02T00:00:00", "2026-08-02")
    desk.accept("2026-05-03T00:00:00")

    (reminder,) = desk.model.reminders_due(NOW)

    assert (reminder.data["version"], reminder.may_be_missing) == (2, True)
