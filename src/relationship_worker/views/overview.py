"""A supplier's relationships, page by page: overdue first, then what is open, oldest first, then the rest by state."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from relationship_worker.domain.relationship import State
from relationship_worker.domain.resubmission import last_day_due
from relationship_worker.messages.times import read_time
from relationship_worker.storage import overview, suppliers
from relationship_worker.storage.database import Tx
from relationship_worker.storage.overview import OPEN, Listed
from relationship_worker.views.profile import company_name
from relationship_worker.views.reading import reading
from relationship_worker.views.relationship import as_json_object
from relationship_worker.views.screen import Page, print_json

LIMITS = range(1, 1001)  # a page; larger ones gain nothing
STATES = tuple(state for state in State if state is not State.NONE)
_SETTLED = tuple(state for state in STATES if state not in OPEN)
_OVERDUE, _OPEN = "overdue", "open"


class BadQuestion(ValueError):
    """An argument makes no sense; the message says what is allowed."""


class _Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Behind which row a page begins. `by` is of the first page: what comes due between two pages is not skipped."""

    supplier_id: str
    state: State | None
    by: date
    part: str
    key: str  # a day, a time or nothing
    customer_id: str


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked for: one state or all, and how many of them."""

    supplier_id: str
    state: State | None
    limit: int
    after: _Cursor | None


def question(supplier_id: str, *, state: str | None, limit: str, after: str | None) -> Question:
    """The question that the arguments ask. Raises BadQuestion."""
    if state is not None and state not in STATES:
        raise BadQuestion(f"--state takes {', '.join(STATES)}, not {state}")
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 4 and int(limit) in LIMITS):
        raise BadQuestion(f"--limit takes a whole number from {LIMITS[0]} to {LIMITS[-1]}, not {limit}")
    wanted = State(state) if state else None
    cursor = _read_cursor(after) if after is not None else None
    if cursor is not None and (cursor.supplier_id, cursor.state) != (supplier_id, wanted):
        raise BadQuestion("--after takes the cursor of an earlier page of the same listing (supplier, --state)")
    return Question(supplier_id=supplier_id, state=wanted, limit=int(limit), after=cursor)


async def show(database: AsyncEngine, asked: Question, *, as_json: bool) -> None:
    """Print one page. Raises CannotRead."""
    now = datetime.now(UTC)
    async with reading(database) as tx:
        settings = await suppliers.newest_settings(tx, asked.supplier_id)
        by = last_day_due(now, time_zone=settings.time_zone, reminder_time=settings.reminder_time)
        listing = _Listing(tx=tx, asked=asked, by=asked.after.by if asked.after else by)
        found = await listing.read()
    listed = [row for _, row in found[: asked.limit]]
    more = _write_cursor(asked, listing.by, *found[asked.limit - 1]) if len(found) > asked.limit else None
    if as_json:
        print_json({"relationships": [as_json_object(row, by) for row in listed], "next": more})
    else:
        _print(asked, listed, by, now, more)


@dataclass(frozen=True, kw_only=True)
class _Listing:
    """The parts of a listing, each read by an index from behind the cursor, until the page is full."""

    tx: Tx
    asked: Question
    by: date

    async def read(self) -> list[tuple[str, Listed]]:
        """One row more than asked for, where there is one: it says that there is another page."""
        found: list[tuple[str, Listed]] = []
        parts = _parts(self.asked.state)
        after = self.asked.after
        for part in parts[parts.index(after.part) :] if after else parts:
            missing = self.asked.limit + 1 - len(found)
            if missing:
                begun = after if after and after.part == part else None
                found += [(part, row) for row in await self._read_part(part, begun, missing)]
        return found

    async def _read_part(self, part: str, after: _Cursor | None, limit: int) -> Sequence[Listed]:
        supplier = self.asked.supplier_id
        if part == _OVERDUE:
            day = (date.fromisoformat(after.key), after.customer_id) if after else None
            return await overview.overdue(self.tx, supplier, by=self.by, after=day, limit=limit)
        if part == _OPEN:
            since = (read_time(after.key), after.customer_id) if after else None
            states = [self.asked.state] if self.asked.state else OPEN
            return await overview.still_open(self.tx, supplier, states, by=self.by, after=since, limit=limit)
        behind = after.customer_id if after else ""
        return await overview.settled(self.tx, supplier, State(part), after=behind, limit=limit)


def _parts(state: State | None) -> list[str]:
    if state is None:
        return [_OVERDUE, _OPEN, *_SETTLED]
    return {State.REQUESTED: [_OPEN], State.DEFERRED: [_OVERDUE, _OPEN]}.get(state, [state])


def _write_cursor(asked: Question, by: date, part: str, row: Listed) -> str:
    key: Any = {_OVERDUE: row.resubmission_date, _OPEN: row.open_since}.get(part)
    cursor = _Cursor(asked.supplier_id, asked.state, by, part, key.isoformat() if key else "", row.customer_id)
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b"=").decode()


def _read_cursor(text: str) -> _Cursor:
    try:
        data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = msgspec.json.decode(data, type=_Cursor)
        _check_cursor(cursor)
    except (binascii.Error, ValueError):
        raise BadQuestion("--after takes the cursor that the page before gave as `next`, unchanged") from None
    return cursor


def _check_cursor(cursor: _Cursor) -> None:
    """Raises ValueError for what this worker never wrote."""
    if cursor.part == _OVERDUE:
        date.fromisoformat(cursor.key)
    elif cursor.part == _OPEN:
        read_time(cursor.key)
    elif cursor.key:
        raise ValueError
    if cursor.part not in _parts(cursor.state) or "\0" in cursor.customer_id:
        raise ValueError


def _print(asked: Question, listed: Sequence[Listed], by: date, now: datetime, more: str | None) -> None:
    page = Page()
    if not listed:
        page.line(
            f"supplier {asked.supplier_id} has no {asked.state or 'relationships'}{' more' if asked.after else ''}"
        )
        return
    widths = {"customer": 16, "state": 9, "age": 6, "resubmission": 12, "overdue": 7, "number": 9, "company": 15}
    if listed:
        page.table(widths, [_cells(row, by, now) for row in listed], whole=("customer", "number"))
    if more:
        page.line(f"more: --after {more}")
    page.print()


def _cells(row: Listed, by: date, now: datetime) -> list[str]:
    day = row.resubmission_date
    return [
        row.customer_id,
        row.state,
        f"{(now - row.open_since).days} d" if row.open_since else "",
        str(day or ""),
        f"{(by - day).days} d" if day and day <= by else "",
        row.customer_number or "",
        company_name(row.profile),
    ]
