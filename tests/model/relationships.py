"""One supplier and one customer: the transition table, and the history that it makes."""

from dataclasses import dataclass, field
from datetime import datetime

from model.envelope import Event
from model.resubmission import Deferral

REFRESH = "refresh"  # keep the profile, say nothing
NOTHING = "nothing"
PARK = "park"
NUMBER = "number"

UNKNOWN = "unknown_relationship"
INPUTS = ("request", "withdraw", "accept", "reject", "defer", "end", "number")

# Written as on the page: state by state, in the order of INPUTS. A state's name is what it becomes, one of the words
# above is what happens, and anything else is the code of the refusal.
_TABLE = {
    "none": ("requested", UNKNOWN, PARK, PARK, PARK, PARK, PARK),
    "requested": (REFRESH, "withdrawn", "partner", "rejected", "deferred", "not_a_partner", "not_a_partner"),
    "deferred": (REFRESH, "withdrawn", "partner", "rejected", "deferred", "not_a_partner", "not_a_partner"),
    "partner": (REFRESH, "already_partner", NOTHING, "already_partner", "already_partner", "ended", NUMBER),
    "rejected": ("requested", "not_open", "partner", NOTHING, "not_open", "not_a_partner", "not_a_partner"),
    "ended": ("requested", "not_open", "partner", "rejected", "not_open", NOTHING, "not_a_partner"),
    # A refusal that goes by the state's own name is marked, since the name is a state's too.
    "withdrawn": ("requested", NOTHING, "!withdrawn", "!withdrawn", "!withdrawn", "not_a_partner", "not_a_partner"),
}
STATES = frozenset(_TABLE) - {"none"}

INPUT_OF_TYPE = {
    "marketplace.connection.requested": "request",
    "marketplace.connection.withdrawn": "withdraw",
    "supplier.connection.accepted": "accept",
    "supplier.connection.rejected": "reject",
    "supplier.connection.deferred": "defer",
    "supplier.connection.ended": "end",
    "supplier.customer-number.assigned": "number",
}
EVENT_OF_STATE = {
    "requested": "relationship.requested",
    "partner": "relationship.accepted",
    "rejected": "relationship.rejected",
    "deferred": "relationship.deferred",
    "withdrawn": "relationship.withdrawn",
    "ended": "relationship.ended",
}


def cell(state: str, input_: str) -> str:
    """What the table says: a state, one of the words above, or a code (with a `!` where it is a state's name)."""
    return _TABLE[state][INPUTS.index(input_)]


def may_become(state: str, next_state: str) -> bool:
    """Whether any input leads from one state to the next."""
    return next_state in _TABLE.get(state, ())


@dataclass(frozen=True, kw_only=True)
class Version:
    """One row of history."""

    number: int
    valid_from: datetime
    state: str
    customer_number: str | None  # as kept; it counts only for a partner
    brings_number: bool  # it was assigned, or came with an acceptance


@dataclass
class Kept:
    """A profile or an assortment as last told."""

    at: datetime | None = None
    value: object = None

    def tell(self, at: datetime, value: object) -> None:
        """Keep it, unless something newer is kept."""
        if self.at is None or at >= self.at:
            self.at, self.value = at, value


@dataclass
class Relationship:
    """All that is known of a supplier and a customer."""

    supplier_id: str
    customer_id: str
    versions: list[Version] = field(default_factory=list)
    previously_rejected: bool = False
    profile: Kept = field(default_factory=Kept)
    assortment: Kept = field(default_factory=Kept)
    parked: list[Event] = field(default_factory=list)
    deferral: Deferral | None = None
    settled: int = 0  # how many versions the worker has certainly applied

    @property
    def state(self) -> str:
        """The newest version's."""
        return self.versions[-1].state if self.versions else "none"

    @property
    def version(self) -> int:
        """The newest version's number."""
        return len(self.versions)

    @property
    def kept_number(self) -> str | None:
        """The number that stays with the relationship."""
        return self.versions[-1].customer_number if self.versions else None

    @property
    def newest_at(self) -> datetime | None:
        """The newest version's time."""
        return self.versions[-1].valid_from if self.versions else None

    def is_stale(self, at: datetime) -> bool:
        """Whether a version of that time would go back in time."""
        return bool(self.versions) and at < self.versions[-1].valid_from

    def as_of(self, at: datetime, known: int | None = None) -> Version | None:
        """The version in force then, out of the first `known` ones (all where None)."""
        held = None
        for version in self.versions[:known]:
            if version.valid_from <= at:
                held = version
        return held
