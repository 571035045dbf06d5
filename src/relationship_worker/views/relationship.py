"""One relationship: what is known of the customer, where it stands, how it came there, and what was refused."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.domain.relationship import State
from relationship_worker.domain.resubmission import last_day_due
from relationship_worker.storage import held_back, overview, parked, refusals, relationships, suppliers
from relationship_worker.storage.held_back import Hold
from relationship_worker.storage.overview import Listed
from relationship_worker.storage.refusals import RefusedInput
from relationship_worker.storage.relationships import Recorded
from relationship_worker.views.profile import told_lines
from relationship_worker.views.reading import NotThere, reading
from relationship_worker.views.screen import Page, print_json, raw, when

REFUSALS = 100  # the newest; a sender that is refused again and again would fill the screen


async def show(database: AsyncEngine, supplier_id: str, customer_id: str, *, as_json: bool) -> None:
    """Print a relationship. Raises NotThere or CannotRead."""
    pair = (supplier_id, customer_id)
    async with reading(database) as tx:
        found = await overview.relationship(tx, pair)
        if found is None:
            raise NotThere(_nobody_asked(supplier_id, customer_id, await parked.count_for(tx, pair)))
        settings = await suppliers.newest_settings(tx, supplier_id)
        history = await relationships.history_of(tx, pair)
        refused = await refusals.newest_of(tx, pair, limit=REFUSALS)
        hold = await held_back.of_relationship(tx, pair)
    by = last_day_due(datetime.now(UTC), time_zone=settings.time_zone, reminder_time=settings.reminder_time)
    if as_json:
        shown = as_json_object(found, by)
        shown["history"] = [version_as_json(version) for version in history]
        shown["refusals"] = [_refusal_as_json(one) for one in refused]
        shown["held_back"] = {"dead_letter": str(hold.place), "inputs": hold.behind} if hold is not None else None
        print_json(shown)
    else:
        _print(found, by, history, refused, hold)


def as_json_object(found: Listed, by: date) -> dict[str, Any]:
    """A relationship without its history. `by`: deferrals to this day or an earlier one are overdue."""
    return {
        "supplier_id": found.supplier_id,
        "customer_id": found.customer_id,
        "state": found.state,
        "version": found.version,
        "valid_from": found.valid_from,
        "customer_number": found.customer_number,
        "open_since": found.open_since,
        "resubmission_date": found.resubmission_date,
        "overdue": is_overdue(found, by),
        "previously_rejected": found.previously_rejected,
        "profile": raw(found.profile),
        "assortment": raw(found.assortment),
    }


def is_overdue(found: Listed, by: date) -> bool:
    """True where the day that the deferral named has come, and nothing is decided yet."""
    return found.resubmission_date is not None and found.resubmission_date <= by


def number_then(version: Recorded) -> str | None:
    """The number that counted from this version on: a partner's."""
    return version.customer_number if version.state is State.PARTNER else None


def version_as_json(version: Recorded) -> dict[str, Any]:
    """A row of history. `type` is that of the event that told it; the event named here is the one behind it."""
    return {
        "version": version.version,
        "type": version.type,
        "state": version.state,
        "previous_state": version.previous_state,
        "customer_number": number_then(version),
        "valid_from": version.valid_from,
        "recorded_at": version.recorded_at,
        "decided_by": version.decided_by,
        "reason": version.reason,
        "message": version.message,
        "resubmission_date": version.resubmission_date,
        "previously_rejected": version.previously_rejected,
        "event_id": version.event_id,
        "event_source": version.event_source,
    }


def _refusal_as_json(refused: RefusedInput) -> Mapping[str, Any]:
    return {
        "event_id": refused.event_id,
        "event_source": refused.event_source,
        "type": refused.type,
        "reason": refused.reason,
        "state": refused.state,
        "version": refused.version,
        "event_time": refused.event_time,
        "recorded_at": refused.recorded_at,
    }


def _nobody_asked(supplier_id: str, customer_id: str, waiting: int) -> str:
    line = f"customer {customer_id} has not asked supplier {supplier_id} to connect"
    if not waiting:
        return line
    return f"{line}; {waiting} decision{'s wait' if waiting > 1 else ' waits'} for the request"


def _print(found: Listed, by: date, history: list[Recorded], refused: list[RefusedInput], hold: Hold | None) -> None:
    page = Page()
    again = " (rejected before)" if found.previously_rejected else ""
    page.line(f"customer {found.customer_id} of supplier {found.supplier_id}")
    page.about("state", f"{found.state}{again}, version {found.version} from {when(found.valid_from)}")
    if found.state is State.PARTNER:
        page.about("number", found.customer_number or "none: the supplier's default stands in, if there is one")
    if found.open_since is not None:
        page.about("open", f"since {when(found.open_since)}")
    if found.resubmission_date is not None:
        page.about("comes back", f"{found.resubmission_date}{', overdue' if is_overdue(found, by) else ''}")
    if hold is not None:
        page.about("held back", f"{hold.behind} inputs, by the dead letter {hold.place} since {when(hold.since)}")
    for name, told in (("profile", found.profile), ("assortment", found.assortment)):
        page.about(name, *(told_lines(told) if told else ["none was told"]))
    page.line()
    page.line("history")
    for version in history:
        page.about(f"{version.version:>9}", *version_lines(version))
    if refused:
        page.line()
        page.line("refused" if len(refused) < REFUSALS else f"refused, the newest {REFUSALS}")
    for one in refused:
        page.about(
            "",
            f"{one.type}: {one.reason}, met {one.state}, version {one.version}",
            f"taken {when(one.event_time)}, arrived {when(one.recorded_at)}",
            f"event {one.event_id} of {one.event_source}",
        )
    page.print()


def version_lines(version: Recorded) -> list[str]:
    """A version for a person: what it made of the relationship, when, who, why, and by which event."""
    what = [version.type, version.state]
    if version.state is State.PARTNER:
        what.append(f"number {version.customer_number}" if version.customer_number is not None else "no number")
    if version.resubmission_date is not None:
        what.append(f"comes back {version.resubmission_date}")
    if version.decided_by is not None:
        what.append(f"by {version.decided_by}")
    lines = [", ".join(what), f"from {when(version.valid_from)}, arrived {when(version.recorded_at)}"]
    lines += [f"{name}: {text}" for name, text in (("why", version.reason), ("message", version.message)) if text]
    return [*lines, f"event {version.event_id} of {version.event_source}"]
