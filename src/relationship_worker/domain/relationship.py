"""A relationship's states and the transition table that decides every input."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum, StrEnum, auto

from relationship_worker.domain.customer_number_text import InvalidCustomerNumber, customer_number
from relationship_worker.domain.resubmission import InvalidResubmissionDate, resubmission_date


class State(StrEnum):
    """Where a relationship stands; NONE before any request."""

    NONE = "none"
    REQUESTED = "requested"
    DEFERRED = "deferred"
    PARTNER = "partner"
    REJECTED = "rejected"
    ENDED = "ended"
    WITHDRAWN = "withdrawn"


class Refusal(StrEnum):
    """Why the domain says no, as partners read it."""

    UNKNOWN_RELATIONSHIP = "unknown_relationship"
    WITHDRAWN = "withdrawn"
    ALREADY_PARTNER = "already_partner"
    NOT_A_PARTNER = "not_a_partner"
    NOT_OPEN = "not_open"
    STALE = "stale"
    INVALID_CUSTOMER_NUMBER = "invalid_customer_number"
    INVALID_RESUBMISSION_DATE = "invalid_resubmission_date"
    INVALID_SETTINGS = "invalid_settings"
    FROM_THE_FUTURE = "from_the_future"


class Kind(StrEnum):
    """What an input asks for."""

    REQUEST = "request"
    WITHDRAW = "withdraw"
    ACCEPT = "accept"
    REJECT = "reject"
    DEFER = "defer"
    END = "end"
    NUMBER = "number"
    PROFILE = "profile"
    ASSORTMENT = "assortment"


@dataclass(frozen=True, kw_only=True)
class Input:
    """One request or decision about one relationship, as it was told: nothing in it is judged yet."""

    kind: Kind
    at: datetime
    decided_by: str | None = None
    reason: str | None = None
    customer_number: str | None = None
    resubmission_date: str | None = None


@dataclass(frozen=True, kw_only=True)
class Judged:
    """An input that can be believed by itself: number and date in the form in which they are kept."""

    kind: Kind
    at: datetime
    decided_by: str | None
    reason: str | None
    customer_number: str | None
    resubmission_date: date | None


@dataclass(frozen=True, kw_only=True)
class Relationship:
    """What the table needs to know of a relationship. `customer_number` is what it keeps; it counts only of a partner.

    `open_since`: when the customer asked, while nothing is decided; `resubmission_date`: of the newest deferral.
    """

    state: State = State.NONE
    version: int = 0
    valid_from: datetime | None = None  # of the newest version
    customer_number: str | None = None
    previously_rejected: bool = False
    open_since: datetime | None = None
    resubmission_date: date | None = None


@dataclass(frozen=True, kw_only=True)
class Version:
    """One row of history: a transition or a number change."""

    version: int
    valid_from: datetime
    state: State
    previous_state: State
    customer_number: str | None  # what the relationship keeps from here on
    previous_number: str | None
    brings_number: bool  # this input named the number
    decided_by: str | None
    reason: str | None
    resubmission_date: date | None
    previously_rejected: bool
    open_since: datetime | None = None  # of a request that is open: when the customer asked

    @property
    def is_transition(self) -> bool:
        """False for a change of the number of a partner who stays one. A deferral of a deferred request is a transition."""
        return self.state is not self.previous_state or self.state is State.DEFERRED


@dataclass(frozen=True)
class Changed:
    """A new version."""

    version: Version


@dataclass(frozen=True)
class Unchanged:
    """A no-op: nothing to tell. A request of this kind still refreshes the profile."""


@dataclass(frozen=True)
class Refused:
    """A no with a reason that partners can read."""

    reason: Refusal


@dataclass(frozen=True)
class Parked:
    """A decision whose request is not here yet: it waits for it."""


Outcome = Changed | Unchanged | Refused | Parked

AHEAD = timedelta(minutes=5)  # how far a sender's clock may be ahead of ours


class _Cell(Enum):
    SET_NUMBER = auto()


_PARK = Parked()
_SAME = Unchanged()
_R = Refused
_NO_PARTNER = _R(Refusal.NOT_A_PARTNER)
_IS_PARTNER = _R(Refusal.ALREADY_PARTNER)
_NOT_OPEN = _R(Refusal.NOT_OPEN)
_GONE = _R(Refusal.WITHDRAWN)
_COLUMNS = (Kind.REQUEST, Kind.WITHDRAW, Kind.ACCEPT, Kind.REJECT, Kind.DEFER, Kind.END, Kind.NUMBER)
_S = State

# The transition table of the domain page, cell by cell: a state is where the input leads to.
_TABLE: dict[State, tuple[State | Outcome | _Cell, ...]] = {
    #              request        withdraw                            accept       reject       defer        end          number
    _S.NONE: (_S.REQUESTED, _R(Refusal.UNKNOWN_RELATIONSHIP), _PARK, _PARK, _PARK, _PARK, _PARK),
    _S.REQUESTED: (_SAME, _S.WITHDRAWN, _S.PARTNER, _S.REJECTED, _S.DEFERRED, _NO_PARTNER, _NO_PARTNER),
    _S.DEFERRED: (_SAME, _S.WITHDRAWN, _S.PARTNER, _S.REJECTED, _S.DEFERRED, _NO_PARTNER, _NO_PARTNER),
    _S.PARTNER: (_SAME, _IS_PARTNER, _Cell.SET_NUMBER, _IS_PARTNER, _IS_PARTNER, _S.ENDED, _Cell.SET_NUMBER),
    _S.REJECTED: (_S.REQUESTED, _NOT_OPEN, _S.PARTNER, _SAME, _NOT_OPEN, _NO_PARTNER, _NO_PARTNER),
    _S.ENDED: (_S.REQUESTED, _NOT_OPEN, _S.PARTNER, _S.REJECTED, _NOT_OPEN, _SAME, _NO_PARTNER),
    _S.WITHDRAWN: (_S.REQUESTED, _SAME, _GONE, _GONE, _GONE, _NO_PARTNER, _NO_PARTNER),
}


def is_from_the_future(at: datetime, *, now: datetime) -> bool:
    """True for a time that no honest clock can have: more than five minutes ahead of ours."""
    return at > now + AHEAD


def judge_alone(told: Input, *, now: datetime, max_length: int) -> Judged | Refused:
    """What can be judged from the event alone, in every state: its time, its number, its date."""
    if is_from_the_future(told.at, now=now):
        return Refused(Refusal.FROM_THE_FUTURE)
    try:
        number = customer_number(told.customer_number, max_length=max_length)
    except InvalidCustomerNumber:
        return Refused(Refusal.INVALID_CUSTOMER_NUMBER)
    try:
        day = resubmission_date(told.resubmission_date, deferred_at=told.at)
    except InvalidResubmissionDate:
        return Refused(Refusal.INVALID_RESUBMISSION_DATE)
    return Judged(
        kind=told.kind,
        at=told.at,
        decided_by=told.decided_by,
        reason=told.reason,
        customer_number=number,
        resubmission_date=day,
    )


def decide(relationship: Relationship, judged: Judged, *, at: datetime) -> Outcome:
    """What becomes of an input. `at`: when it counts from; of a parked decision not before its request.

    First the table, then staleness: a version never lies before the newest one; equal times are taken as they arrive.
    """
    if judged.kind in (Kind.PROFILE, Kind.ASSORTMENT):
        known = relationship.state is not State.NONE
        return Unchanged() if known else Refused(Refusal.UNKNOWN_RELATIONSHIP)
    cell = _TABLE[relationship.state][_COLUMNS.index(judged.kind)]
    if isinstance(cell, State):
        return _unless_stale(relationship, _transition(relationship, judged, at, cell))
    if cell is _Cell.SET_NUMBER:
        brings_none = judged.kind is Kind.ACCEPT and judged.customer_number is None
        if brings_none or judged.customer_number == relationship.customer_number:
            return Unchanged()
        return _unless_stale(relationship, _number_change(relationship, judged, at))
    return cell


def _unless_stale(relationship: Relationship, version: Version) -> Outcome:
    if relationship.valid_from is not None and version.valid_from < relationship.valid_from:
        return Refused(Refusal.STALE)
    return Changed(version)


def _number_change(relationship: Relationship, judged: Judged, at: datetime) -> Version:
    return Version(
        version=relationship.version + 1,
        valid_from=at,
        state=relationship.state,
        previous_state=relationship.state,
        customer_number=judged.customer_number,
        previous_number=relationship.customer_number,
        brings_number=True,
        decided_by=judged.decided_by,
        reason=judged.reason,
        resubmission_date=None,
        previously_rejected=relationship.previously_rejected,
    )


def _transition(relationship: Relationship, judged: Judged, at: datetime, to: State) -> Version:
    brings_number = judged.kind is Kind.ACCEPT and judged.customer_number is not None
    asks_again = judged.kind is Kind.REQUEST and relationship.state is State.REJECTED
    by_customer = judged.kind in (Kind.REQUEST, Kind.WITHDRAW)
    open_since = {State.REQUESTED: at, State.DEFERRED: relationship.open_since}.get(to)
    return Version(
        version=relationship.version + 1,
        valid_from=at,
        state=to,
        previous_state=relationship.state,
        customer_number=judged.customer_number if brings_number else relationship.customer_number,
        previous_number=relationship.customer_number,
        brings_number=brings_number,
        decided_by=None if by_customer else judged.decided_by,
        reason=judged.reason,
        resubmission_date=judged.resubmission_date,
        previously_rejected=to is not State.PARTNER and (relationship.previously_rejected or asks_again),
        open_since=open_since,
    )


def after(version: Version) -> Relationship:
    """The relationship once this version is its newest."""
    return Relationship(
        state=version.state,
        version=version.version,
        valid_from=version.valid_from,
        customer_number=version.customer_number,
        previously_rejected=version.previously_rejected,
        open_since=version.open_since,
        resubmission_date=version.resubmission_date if version.state is State.DEFERRED else None,
    )
