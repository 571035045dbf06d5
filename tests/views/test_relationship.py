"""What a desk sees of one relationship."""

from datetime import date

import pytest

from builders import minutes_after_noon
from relationship_worker.domain.relationship import Refusal, State
from relationship_worker.messages.dead_letters import Place
from relationship_worker.storage import parked, refusals
from relationship_worker.storage.database import run, transaction
from relationship_worker.storage.held_back import HeldInput, hold, keep
from relationship_worker.storage.parked import ParkedDecision
from relationship_worker.storage.refusals import RefusedInput
from views.desk import NOON, SHOP, Desk, a_version

PROFILE = (
    '{ "company_name":"Müller\\u001b[2J GmbH", "address":{"street":"Weg 1","city":"Ort"},'
    ' "contacts":[{"name":"A. Müller","email":"a@example.org"},{"name":"B"}], "odd":"\\ud800", "rating": 2.10 }'
)


async def a_partner(desk: Desk) -> None:
    await desk.knows("c-1", State.PARTNER, number="00042", profile=PROFILE, assortment='{"catalogues":[{"id":"K1"}]}')
    await desk.remembers(
        "c-1",
        ("relationship.requested", a_version(1, state=State.REQUESTED, previous_state=State.NONE, decided_by=None)),
        (
            "relationship.deferred",
            a_version(
                2, minutes_after_noon(1), State.DEFERRED, reason="erst prüfen", resubmission_date=date(2026, 4, 1)
            ),
        ),
        ("relationship.accepted", a_version(3, minutes_after_noon(2), number="00042", brings_number=True)),
        message="Guten\nTag\x1b]0;x\x07",
    )


async def test_a_relationship_is_shown_with_all_that_is_known_of_it(desk: Desk):
    await a_partner(desk)

    shown = (await desk.ask("relationship", "--supplier", SHOP, "c-1", "--json")).json

    assert (shown["state"], shown["version"], shown["customer_number"]) == ("partner", 1, "00042")
    assert shown["profile"]["contacts"][0] == {"name": "A. Müller", "email": "a@example.org"}
    assert shown["assortment"] == {"catalogues": [{"id": "K1"}]}
    assert shown["resubmission_date"] is None
    assert [(v["version"], v["type"], v["state"]) for v in shown["history"]] == [
        (1, "relationship.requested", "requested"),
        (2, "relationship.deferred", "deferred"),
        (3, "relationship.accepted", "partner"),
    ]
    assert [v["decided_by"] for v in shown["history"]] == [None, "j.meier", "j.meier"]
    assert shown["history"][1]["reason"] == "erst prüfen"
    assert shown["history"][1]["resubmission_date"] == "2026-04-01"
    assert shown["history"][2]["valid_from"] == "2026-03-02T12:02:00Z"
    assert [v["customer_number"] for v in shown["history"]] == [None, None, "00042"]


async def test_a_person_reads_who_decided_when_and_why(desk: Desk):
    await a_partner(desk)

    printed = await desk.ask("relationship", "--supplier", SHOP, "c-1")

    assert printed.code == 0
    assert all(len(line) <= 80 for line in printed.out.splitlines())
    assert "relationship.deferred, deferred, comes back 2026-04-01, by j.meier" in printed.out
    assert "why: erst prüfen" in printed.out
    assert "from 2026-03-02 12:02:00 UTC" in printed.out
    assert "contacts: name A. Müller, email a@example.org" in printed.out


@pytest.mark.parametrize("as_json", [[], ["--json"]])
async def test_nothing_that_data_hold_steers_the_terminal(desk: Desk, as_json: list[str]):
    await a_partner(desk)
    await desk.knows("c-2", State.REQUESTED, profile='{"company_name":"\u202eGmbH\x9b2J\u2066"}')

    for customer in ("c-1", "c-2"):
        printed = await desk.ask("relationship", "--supplier", SHOP, customer, *as_json)
        assert printed.code == 0
        assert not set(printed.out) & set("\x00\x07\r\x1b\x9b\u202e\u2066")


async def test_a_number_that_is_kept_of_a_former_partner_is_not_shown_as_the_customers(desk: Desk):
    await desk.knows("c-1", State.ENDED, number="00042")

    shown = (await desk.ask("relationship", "--supplier", SHOP, "c-1", "--json")).json

    assert shown["customer_number"] is None


async def test_a_deferral_comes_back_on_its_day_and_is_overdue_from_then_on(desk: Desk):
    await desk.knows("c-1", State.DEFERRED, resubmission_date=date(2020, 1, 1))
    await desk.knows("c-2", State.DEFERRED, resubmission_date=date(2199, 1, 1))

    passed = (await desk.ask("relationship", "--supplier", SHOP, "c-1", "--json")).json
    to_come = (await desk.ask("relationship", "--supplier", SHOP, "c-2", "--json")).json

    assert (passed["resubmission_date"], passed["overdue"]) == ("2020-01-01", True)
    assert (to_come["resubmission_date"], to_come["overdue"]) == ("2199-01-01", False)


async def test_refused_inputs_are_shown_with_the_reason_and_what_they_met(desk: Desk):
    await a_partner(desk)
    refused = [
        RefusedInput(
            supplier_id=SHOP, customer_id=customer, event_id=f"d-{n}", event_source="/erp",
            type="supplier.connection.rejected", reason=Refusal.ALREADY_PARTNER, state=State.PARTNER, version=3,
            event_time=NOON, recorded_at=minutes_after_noon(9),
        )
        for n, customer in enumerate(["c-1", "c-2", "c-1", None])
    ]  # fmt: skip
    async with transaction(desk.database) as tx:
        await refusals.remember(tx, refused)

    shown = (await desk.ask("relationship", "--supplier", SHOP, "c-1", "--json")).json
    printed = (await desk.ask("relationship", "--supplier", SHOP, "c-1")).out

    assert [r["event_id"] for r in shown["refusals"]] == ["d-0", "d-2"]
    assert shown["refusals"][0] == {
        "event_id": "d-0",
        "event_source": "/erp",
        "type": "supplier.connection.rejected",
        "reason": "already_partner",
        "state": "partner",
        "version": 3,
        "event_time": "2026-03-02T12:00:00Z",
        "recorded_at": "2026-03-02T12:09:00Z",
    }
    assert "supplier.connection.rejected: already_partner, met partner, version 3" in printed


@pytest.mark.parametrize("as_json", [[], ["--json"]])
@pytest.mark.parametrize("customer", ["c-2", "no such\x1bthing", "\udcff"])
async def test_who_never_asked_is_not_there(desk: Desk, customer: str, as_json: list[str]):
    await a_partner(desk)

    printed = await desk.ask("relationship", "--supplier", SHOP, customer, *as_json)

    assert (printed.code, printed.out) == (1, "")
    assert len(printed.err.splitlines()) == 1
    assert "\x1b" not in printed.err


async def test_decisions_that_wait_for_a_request_are_counted(desk: Desk):
    waiting = ParkedDecision(
        pair=(SHOP, "early"), arrived_at=NOON, event_key=b"k" * 16, topic="relationship-decisions", partition=0,
        offset=1, key=None, value=b"{}", headers=[],
    )  # fmt: skip
    async with transaction(desk.database) as tx:
        await parked.park(tx, [waiting, waiting])
    await desk.knows("early", State.NONE)

    printed = await desk.ask("relationship", "--supplier", SHOP, "early")

    assert (printed.code, printed.out) == (1, "")
    assert "2 decisions wait for the request" in printed.err


@pytest.mark.parametrize("command", [["relationship", "c-1"], ["relationships"], ["explain", "O-1"]])
async def test_a_database_that_is_away_or_without_a_schema_is_named_in_one_line(
    desk: Desk, empty_database_url: str, command: list[str]
):
    away = await desk.ask(*command, "--supplier", SHOP, "--json", DATABASE_URL="postgresql://127.0.0.1:1/x")
    empty = await desk.ask(*command, "--supplier", SHOP, "--json", DATABASE_URL=empty_database_url)

    assert (away.code, away.out, len(away.err.splitlines())) == (3, "", 1)
    assert "PostgreSQL at 127.0.0.1:1 can't be reached" in away.err
    assert (empty.code, empty.out, len(empty.err.splitlines())) == (3, "", 1)
    assert "run `relationship-worker init`" in empty.err


async def test_a_view_that_may_not_read_says_so(desk: Desk):
    async with transaction(desk.database) as tx:
        await run(tx, "ALTER TABLE relationships RENAME TO gone")

    printed = await desk.ask("relationship", "--supplier", SHOP, "c-1")

    assert printed.code == 3
    assert "SQLSTATE 42P01" in printed.err


async def test_what_is_held_back_is_said(desk: Desk):
    await desk.knows("anna", State.PARTNER, number="4711")
    inputs = [
        HeldInput(
            pair=("s-1", "anna"), place=Place(topic="relationship-decisions", partition=2, offset=offset), key=None,
            value=b"{}", headers=[], event_key=None,
        )
        for offset in (7, 8)
    ]  # fmt: skip
    async with transaction(desk.database) as tx:
        await hold(tx, inputs[0], now=NOON)
        await keep(tx, inputs[1:], now=NOON)

    shown = await desk.ask("relationship", "--supplier", "s-1", "anna", "--json")
    page = await desk.ask("relationship", "--supplier", "s-1", "anna")

    assert shown.json["held_back"] == {"dead_letter": "relationship-decisions:2:7", "inputs": 1}
    assert "held back  1 inputs, by the dead letter relationship-decisions:2:7" in page.out
