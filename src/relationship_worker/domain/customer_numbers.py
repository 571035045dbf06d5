"""Which customer number goes onto an order, and why."""

from enum import StrEnum
from typing import NamedTuple

from relationship_worker.domain.supplier import PartnerWithoutNumber, PublicCatalogue, Settings


class Channel(StrEnum):
    """Where an order was placed."""

    PUBLIC = "public"
    PRIVATE = "private"


class Source(StrEnum):
    """Whose number an order carries."""

    PARTNER = "partner"
    DEFAULT = "default"
    NONE = "none"


class Ruling(NamedTuple):
    """A row of the decision table, applied: the number that goes onto an order, and why."""

    number: str | None
    source: Source
    reason: str | None
    rule: int
    private_catalogue: bool = False  # row 6: a customer who is not a partner ordered from a partner's catalogue


PARTNER_WITHOUT_NUMBER = "partner_without_number"
DEFAULT_MISSING = "default_missing"


def which_number(*, partner: bool, individual: str | None, channel: Channel | None, settings: Settings) -> Ruling:
    """The decision table: all facts as of the order's creation. `individual` counts only of a partner."""
    default = settings.default_customer_number
    if not partner:
        if default is None:
            return Ruling(number=None, source=Source.NONE, reason=DEFAULT_MISSING, rule=7)
        if channel is Channel.PRIVATE:
            reason = "not_a_partner_on_private_catalogue"
            return Ruling(number=default, source=Source.DEFAULT, reason=reason, rule=6, private_catalogue=True)
        return Ruling(number=default, source=Source.DEFAULT, reason="not_a_partner", rule=5)
    if individual is not None:
        booked_apart = channel is Channel.PUBLIC and settings.public_catalogue is PublicCatalogue.DEFAULT_ALWAYS
        if booked_apart and default is not None:
            return Ruling(number=default, source=Source.DEFAULT, reason="public_catalogue_default", rule=1)
        return Ruling(number=individual, source=Source.PARTNER, reason=None, rule=1)
    if default is None:
        return Ruling(number=None, source=Source.NONE, reason=PARTNER_WITHOUT_NUMBER, rule=4)
    if channel is Channel.PUBLIC:
        return Ruling(number=default, source=Source.DEFAULT, reason=PARTNER_WITHOUT_NUMBER, rule=2)
    if settings.partner_without_number is PartnerWithoutNumber.NONE:
        return Ruling(number=None, source=Source.NONE, reason=PARTNER_WITHOUT_NUMBER, rule=3)
    return Ruling(number=default, source=Source.DEFAULT, reason=PARTNER_WITHOUT_NUMBER, rule=3)


class _Row(NamedTuple):
    """What a row of the decision table asks for. None: whatever there is."""

    partner: bool
    individual: bool | None
    default: bool | None
    channels: tuple[Channel | None, ...]


_ANY = (None, *Channel)
_TABLE = {
    1: _Row(True, True, None, _ANY),
    2: _Row(True, False, True, (Channel.PUBLIC,)),
    3: _Row(True, False, True, (Channel.PRIVATE, None)),
    4: _Row(True, False, False, _ANY),
    5: _Row(False, None, True, (Channel.PUBLIC, None)),
    6: _Row(False, None, True, (Channel.PRIVATE,)),
    7: _Row(False, None, False, _ANY),
}


def rules_that_did_not_fire(
    *, partner: bool, individual: str | None, channel: Channel | None, settings: Settings
) -> dict[int, str]:
    """Each row of the table that `which_number` did not take, with the first thing in it that was not so."""
    default = settings.default_customer_number is not None
    reasons: dict[int, str] = {}
    for rule, row in _TABLE.items():
        if row.partner != partner:
            reasons[rule] = "the customer was a partner then" if partner else "the customer was not a partner then"
        elif row.individual not in (None, individual is not None):
            reasons[rule] = (
                "the partner had no number of its own" if row.individual else "the partner had its own number"
            )
        elif row.default not in (None, default):
            reasons[rule] = "the supplier had a default" if default else "the supplier had no default"
        elif channel not in row.channels:
            reasons[rule] = f"the channel was {channel}" if channel else "the order named no channel"
    return reasons
