"""The decision table: which customer number goes onto an order, and why."""

from datetime import datetime

from model.records import Answer
from model.suppliers import Settings


def answer(
    *,
    is_partner: bool,
    individual: str | None,
    version: int | None,
    settings: Settings,
    channel: str | None,
    as_of: datetime,
    flags: frozenset[str],
) -> Answer:
    """The row that fires. `channel` is public, private or None; all else is as of one instant."""
    default = settings.default_customer_number
    number, source, reason, rule = _row(is_partner, individual, settings, channel)
    if rule == 6:
        flags |= {"private_catalogue"}
    return Answer(
        number=default if source == "default" else number,
        source=source,
        reason=reason,
        rule=rule,
        relationship_version=version,
        as_of=as_of,
        flags=flags,
    )


def _row(
    is_partner: bool, individual: str | None, settings: Settings, channel: str | None
) -> tuple[str | None, str, str | None, int]:
    default = settings.default_customer_number
    if is_partner and individual is not None:
        if channel == "public" and settings.public_catalogue == "default_always" and default is not None:
            return default, "default", "public_catalogue_default", 1
        return individual, "partner", None, 1
    if is_partner:
        if default is None:
            return None, "none", "partner_without_number", 4
        if channel == "public":
            return default, "default", "partner_without_number", 2
        if settings.partner_without_number == "none":
            return None, "none", "partner_without_number", 3
        return default, "default", "partner_without_number", 3
    if default is None:
        return None, "none", "default_missing", 7
    if channel == "private":
        return default, "default", "not_a_partner_on_private_catalogue", 6
    return default, "default", "not_a_partner", 5
