"""What a desk sees of all relationships of a supplier."""

from datetime import UTC, date, datetime, timedelta

import pytest

from relationship_worker.domain.relationship import State
from views.desk import NOON, Desk, Printed

LONG_AGO, SOME_DAY = date(2020, 1, 1), date(2020, 1, 2)
FAR = date(2199, 1, 1)


def listed(printed: Printed) -> list[str]:
    return [row["customer_id"] for row in printed.json["relationships"]]


async def a_full_desk(desk: Desk) -> None:
    await desk.knows("m-partner", State.PARTNER, number="4711")
    await desk.knows("b-partner", State.PARTNER)
    await desk.knows("gone", State.WITHDRAWN)
    await desk.knows("over", State.ENDED, number="kept")
    await desk.knows("no", State.REJECTED)
    await desk.knows("new", State.REQUESTED, since=NOON + timedelta(days=2))
    await desk.knows("old", State.REQUESTED, since=NOON)
    await desk.knows("put-off", State.DEFERRED, since=NOON + timedelta(days=1))
    await desk.knows("later", State.DEFERRED, since=NOON + timedelta(days=3), resubmission_date=FAR)
    await desk.knows("an-overdue", State.DEFERRED, since=NOON + timedelta(days=9), resubmission_date=SOME_DAY)
    await desk.knows("long-overdue", State.DEFERRED, since=NOON + timedelta(days=8), resubmission_date=LONG_AGO)
    await desk.knows("elsewhere", State.REQUESTED, supplier="s-2")


ALL = ["long-overdue", "an-overdue", "old", "put-off", "new", "later", "b-partner", "m-partner", "no", "over", "gone"]


async def test_overdue_comes_first_then_what_is_open_by_age_then_the_rest_by_state(desk: Desk):
    await a_full_desk(desk)

    assert listed(await desk.ask("relationships", "--supplier", "s-1", "--json")) == ALL


@pytest.mark.parametrize("limit", [1, 2, 3, 10, 11])
async def test_pages_side_by_side_are_the_whole_list(desk: Desk, limit: int):
    await a_full_desk(desk)

    asked = ["relationships", "--supplier", "s-1", "--json", "--limit", str(limit)]
    found, after, sizes = [], [], []
    while len(found) <= len(ALL):
        page = await desk.ask(*asked, *after)
        found += listed(page)
        sizes.append(len(listed(page)))
        if page.json["next"] is None:
            break
        after = ["--after", page.json["next"]]

    assert found == ALL
    assert all(size == limit for size in sizes[:-1])
    assert sizes[-1] > 0


@pytest.mark.parametrize(
    ("state", "customers"),
    [
        ("requested", ["old", "new"]),
        ("deferred", ["long-overdue", "an-overdue", "put-off", "later"]),
        ("partner", ["b-partner", "m-partner"]),
        ("rejected", ["no"]),
        ("ended", ["over"]),
        ("withdrawn", ["gone"]),
    ],
)
async def test_one_state_alone_page_by_page(desk: Desk, state: str, customers: list[str]):
    await a_full_desk(desk)

    asked = ["relationships", "--supplier", "s-1", "--state", state, "--json", "--limit", "1"]
    page = await desk.ask(*asked)
    found = listed(page)
    while page.json["next"] is not None and len(found) <= len(customers):
        page = await desk.ask(*asked, "--after", page.json["next"])
        found += listed(page)

    assert found == customers


async def test_customers_of_the_same_moment_are_neither_skipped_nor_repeated(desk: Desk):
    for n in range(5):
        await desk.knows(f"c-{n}", State.REQUESTED if n % 2 else State.DEFERRED, since=NOON)

    first = await desk.ask("relationships", "--supplier", "s-1", "--json", "--limit", "3")
    second = await desk.ask("relationships", "--supplier", "s-1", "--json", "--after", first.json["next"])

    assert listed(first) + listed(second) == ["c-0", "c-1", "c-2", "c-3", "c-4"]


async def test_who_is_decided_between_two_pages_moves_nobody_else(desk: Desk):
    await a_full_desk(desk)
    first = await desk.ask("relationships", "--supplier", "s-1", "--json", "--limit", "3")

    await desk.knows("old", State.PARTNER)  # the last one of the first page
    second = await desk.ask("relationships", "--supplier", "s-1", "--json", "--after", first.json["next"])

    assert [c for c in listed(second) if c != "old"] == ALL[3:]


async def test_what_is_listed_is_the_relationship_as_it_is(desk: Desk):
    profile = '{"company_name":"三菱商事","rating":2.10,"big":12345678901234567890123}'
    await desk.knows(
        "c-1", State.DEFERRED, number="kept", profile=profile, resubmission_date=SOME_DAY, previously_rejected=True
    )

    printed = await desk.ask("relationships", "--supplier", "s-1", "--json")

    [row] = printed.json["relationships"]
    assert row.pop("profile")["company_name"] == "三菱商事"
    assert row == {
        "supplier_id": "s-1",
        "customer_id": "c-1",
        "state": "deferred",
        "version": 1,
        "valid_from": "2026-03-02T12:00:00Z",
        "customer_number": None,
        "open_since": "2026-03-02T12:00:00Z",
        "resubmission_date": "2020-01-02",
        "overdue": True,
        "previously_rejected": True,
        "assortment": None,
    }
    assert '"rating":2.10' in printed.out
    assert "12345678901234567890123" in printed.out


async def test_a_table_fits_a_screen_of_eighty_columns_and_ids_are_whole(desk: Desk):
    long_id = "customer-with-a-long-id-" + "x" * 40
    await desk.knows(
        long_id, State.PARTNER, number="K" * 20, profile='{"company_name":"三菱商事株式会社エネルギー部門"}'
    )

    printed = await desk.ask("relationships", "--supplier", "s-1")

    lines = printed.out.splitlines()
    assert all(len(line) + sum(ord(c) > 0x2E80 for c in line) <= 80 for line in lines)
    assert "".join(line[:16].strip() for line in lines[1:]) == long_id
    assert "三菱商事" in printed.out


async def test_the_hint_for_the_next_page_can_be_copied_from_one_line(desk: Desk):
    await a_full_desk(desk)

    printed = await desk.ask("relationships", "--supplier", "s-1", "--limit", "2")
    [hint] = [line for line in printed.out.splitlines() if line.startswith("more: ")]
    next_page = await desk.ask("relationships", "--supplier", "s-1", "--json", *hint.removeprefix("more: ").split())

    assert listed(next_page) == ALL[2:]


async def test_a_supplier_without_relationships_has_an_empty_list(desk: Desk):
    printed = await desk.ask("relationships", "--supplier", "nobody", "--json")

    assert printed.json == {"relationships": [], "next": None}


@pytest.mark.parametrize(
    ("argument", "value", "allowed"),
    [
        ("--state", "none", "requested, deferred, partner, rejected, ended, withdrawn"),
        ("--state", "Partner\x1b[2J", "requested, deferred, partner"),
        ("--limit", "0", "from 1 to 1000"),
        ("--limit", "1001", "from 1 to 1000"),
        ("--limit", "many", "from 1 to 1000"),
        ("--limit", "²", "from 1 to 1000"),
        ("--after", "", "the cursor"),
        ("--after", "nonsense", "the cursor"),
        ("--after", "ä", "the cursor"),
        ("--after", "W10", "the cursor"),
    ],
)
async def test_an_argument_that_makes_no_sense_is_answered_with_what_is_allowed(
    desk: Desk, argument: str, value: str, allowed: str
):
    printed = await desk.ask("relationships", "--supplier", "s-1", argument, value)

    assert (printed.code, printed.out) == (2, "")
    assert len(printed.err.splitlines()) == 1
    assert allowed in printed.err
    assert "\x1b" not in printed.err


async def test_a_cursor_of_another_listing_is_refused(desk: Desk):
    await a_full_desk(desk)
    page = await desk.ask("relationships", "--supplier", "s-1", "--json", "--limit", "1")

    other_state = await desk.ask(
        "relationships", "--supplier", "s-1", "--state", "partner", "--after", page.json["next"]
    )
    other_supplier = await desk.ask("relationships", "--supplier", "s-2", "--after", page.json["next"])

    assert (other_state.code, other_supplier.code) == (2, 2)


async def test_what_comes_due_between_two_pages_is_not_skipped(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    await desk.knows("first", State.DEFERRED, resubmission_date=date(2026, 3, 1))
    await desk.knows("second", State.REQUESTED, since=NOON)
    await desk.knows("third", State.DEFERRED, since=NOON + timedelta(1), resubmission_date=date(2026, 3, 3))

    asked = ["relationships", "--supplier", "s-1", "--json", "--limit", "1"]
    at(monkeypatch, datetime(2026, 3, 2, 12, tzinfo=UTC))
    first = await desk.ask(*asked)
    at(monkeypatch, datetime(2026, 3, 3, 12, tzinfo=UTC))
    second = await desk.ask(*asked, "--after", first.json["next"])
    third = await desk.ask(*asked, "--after", second.json["next"])

    assert listed(first) + listed(second) + listed(third) == ["first", "second", "third"]
    assert third.json["relationships"][0]["overdue"]


def at(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    """Turn the clock."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return now

    monkeypatch.setattr("relationship_worker.views.overview.datetime", Clock)
