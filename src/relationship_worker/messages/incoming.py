"""What the two relationship topics carry: from an opened event to what it asks for."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from relationship_worker.domain.own_rules import Asking
from relationship_worker.domain.relationship import Input, Kind
from relationship_worker.messages import json_text
from relationship_worker.messages.envelope import Envelope, InvalidMessage, Reason

REQUESTED = "marketplace.connection.requested"
WITHDRAWN = "marketplace.connection.withdrawn"
PROFILE_UPDATED = "marketplace.customer.profile-updated"
ASSORTMENT_ASSIGNED = "marketplace.customer.assortment-assigned"
ERASED = "marketplace.customer.erased"
ACCEPTED = "supplier.connection.accepted"
REJECTED = "supplier.connection.rejected"
DEFERRED = "supplier.connection.deferred"
ENDED = "supplier.connection.ended"
NUMBER_ASSIGNED = "supplier.customer-number.assigned"
SETTINGS_CHANGED = "supplier.settings.changed"

ID_PATTERN = r"^[A-Za-z0-9._:@+-]{1,64}$"
_ID = re.compile(r"[A-Za-z0-9._:@+-]{1,64}", re.ASCII)
PartyId = Annotated[
    str, Meta(description="1 to 64 letters, digits and . _ : @ + -", extra_json_schema={"pattern": ID_PATTERN})
]
Text = Annotated[str, Meta(description="any text but U+0000 and lone surrogates")]


class Address(msgspec.Struct):
    """Where a company is. Kept as told: a country may read `EIRE`."""

    street: Text | None = None
    postal_code: Text | None = None
    city: Text | None = None
    country: Text | None = None


class Contact(msgspec.Struct):
    """A person at the customer: personal data, never in logs, metrics or error texts."""

    name: Text | None = None
    email: Text | None = None
    phone: Text | None = None


class Profile(msgspec.Struct):
    """A customer's company. Unknown fields are kept."""

    company_name: Text | None = None
    address: Address | None = None
    vat_id: Text | None = None
    currency: Text | None = None
    contacts: list[Contact] | None = None


class Listed(msgspec.Struct):
    """A catalogue or a price list."""

    id: Text | None = None
    name: Text | None = None


class Assortment(msgspec.Struct):
    """What a partner may use. Unknown fields are kept."""

    catalogues: list[Listed] | None = None
    price_lists: list[Listed] | None = None


class _Pair(msgspec.Struct, kw_only=True):
    supplier_id: PartyId
    customer_id: PartyId


class ConnectionRequested(_Pair, kw_only=True):
    """A customer asks a supplier to connect."""

    profile: Profile | None = None
    message: Text | None = None


class ConnectionWithdrawn(_Pair, kw_only=True):
    """The customer takes the request back."""


class ProfileUpdated(_Pair, kw_only=True):
    """The customer's profile as it is now."""

    profile: Profile


class AssortmentAssigned(_Pair, kw_only=True):
    """The partner's assortment as it is now."""

    assortment: Assortment


class CustomerErased(msgspec.Struct, kw_only=True):
    """Personal data of the customer is to be removed, at one supplier or at all."""

    customer_id: PartyId
    supplier_id: PartyId | None = None


class _Decision(_Pair, kw_only=True):
    decided_by: Text | None = None
    reason: Text | None = None


class ConnectionAccepted(_Decision, kw_only=True):
    """The customer becomes a partner; null, empty or blank brings no number."""

    customer_number: Text | None = None


class ConnectionRejected(_Decision, kw_only=True):
    """The request is turned down."""


class ConnectionDeferred(_Decision, kw_only=True):
    """The decision is postponed, with or without a date to come back on (YYYY-MM-DD)."""

    resubmission_date: Text | None = None


class ConnectionEnded(_Decision, kw_only=True):
    """The partnership ends."""


class CustomerNumberAssigned(_Decision, kw_only=True):
    """The partner's number; null, empty or blank removes it."""

    customer_number: Text | None


class SettingsChanged(msgspec.Struct, kw_only=True):
    """A change of a supplier's settings. What they may be is the domain's business: see `domain/supplier.py`."""

    supplier_id: PartyId


@dataclass(frozen=True, kw_only=True)
class RelationshipInput:
    """An input about one relationship; profile and assortment as the JSON text in which they came."""

    event: Envelope
    supplier_id: str
    customer_id: str
    told: Input
    profile: str | None = None
    assortment: str | None = None
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class SettingsInput:
    """A change of settings: every member but `supplier_id`, unjudged."""

    event: Envelope
    supplier_id: str
    change: dict[str, object]


@dataclass(frozen=True, kw_only=True)
class ErasureInput:
    """Personal data of this customer is to go, at one supplier or (None) at all."""

    event: Envelope
    customer_id: str
    supplier_id: str | None


AnyInput = RelationshipInput | SettingsInput | ErasureInput

_KINDS: dict[str, tuple[Kind, type[_Pair]]] = {
    REQUESTED: (Kind.REQUEST, ConnectionRequested),
    WITHDRAWN: (Kind.WITHDRAW, ConnectionWithdrawn),
    PROFILE_UPDATED: (Kind.PROFILE, ProfileUpdated),
    ASSORTMENT_ASSIGNED: (Kind.ASSORTMENT, AssortmentAssigned),
    ACCEPTED: (Kind.ACCEPT, ConnectionAccepted),
    REJECTED: (Kind.REJECT, ConnectionRejected),
    DEFERRED: (Kind.DEFER, ConnectionDeferred),
    ENDED: (Kind.END, ConnectionEnded),
    NUMBER_ASSIGNED: (Kind.NUMBER, CustomerNumberAssigned),
}
MODELS: dict[str, type[msgspec.Struct]] = {
    **{name: model for name, (_, model) in _KINDS.items()},
    ERASED: CustomerErased,
    SETTINGS_CHANGED: SettingsChanged,
}
REQUEST_TYPES = frozenset({REQUESTED, WITHDRAWN, PROFILE_UPDATED, ASSORTMENT_ASSIGNED, ERASED})
DECISION_TYPES = frozenset(MODELS) - REQUEST_TYPES

_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {name: msgspec.json.Decoder(model) for name, model in MODELS.items()}
_FIELDS = {name: tuple(model.__struct_fields__) for name, model in MODELS.items()}
_VALUE = msgspec.json.Decoder(object)


def read_input(event: Envelope) -> AnyInput:
    """What the event asks for. Raises InvalidMessage."""
    try:
        data = json_text.read(event.data, _DECODERS[event.type], _FIELDS[event.type])
    except json_text.NotJson as why:
        raise InvalidMessage(Reason.INVALID_JSON, f"the value {why}") from None
    except json_text.WrongShape as why:
        raise InvalidMessage(Reason.INVALID_DATA, f"the data does not fit its type: {why}") from None
    _check_texts(data, "data")
    for name in ("supplier_id", "customer_id"):
        party = getattr(data, name, None)
        if party is not None and not _ID.fullmatch(party):
            raise InvalidMessage(Reason.INVALID_DATA, f"{name} is not 1 to 64 letters, digits and . _ : @ + -")
    if isinstance(data, SettingsChanged):
        return SettingsInput(event=event, supplier_id=data.supplier_id, change=_settings(event.data))
    if isinstance(data, CustomerErased):
        return ErasureInput(event=event, customer_id=data.customer_id, supplier_id=data.supplier_id)
    return _relationship_input(event, data)


def _relationship_input(event: Envelope, data: Any) -> RelationshipInput:
    told = Input(
        kind=_KINDS[event.type][0],
        at=event.time,
        decided_by=getattr(data, "decided_by", None),
        reason=getattr(data, "reason", None),
        customer_number=getattr(data, "customer_number", None),
        resubmission_date=getattr(data, "resubmission_date", None),
    )
    kept = {}
    for name in ("profile", "assortment"):
        if getattr(data, name, None) is not None:
            kept[name] = json_text.members(event.data)[name].decode()
    return RelationshipInput(
        event=event,
        supplier_id=data.supplier_id,
        customer_id=data.customer_id,
        told=told,
        message=getattr(data, "message", None),
        **kept,
    )


_PROFILE = msgspec.json.Decoder(Profile)


def asking(customer_id: str, profile: str | None) -> Asking:
    """What a supplier's own rules may look at, out of a profile as it is kept."""
    if profile is None:
        return Asking(customer_id=customer_id)
    read = json_text.read(profile.encode(), _PROFILE, Profile.__struct_fields__)
    country = read.address.country if read.address is not None else None
    return Asking(customer_id=customer_id, country=country, currency=read.currency, vat_id=read.vat_id)


def _settings(data: bytes) -> dict[str, object]:
    """Every member but the supplier's id; one that can't be read as a value of no kind that any setting takes.

    A lone surrogate is read as U+0000, which no setting takes either: so it is known where it stood.
    """
    change: dict[str, object] = {}
    for name, raw in json_text.members(data).items():
        if name == "supplier_id":
            continue
        try:
            change[name] = _VALUE.decode(json_text.without_lone_surrogates(raw))
        except (msgspec.DecodeError, RecursionError):
            change[name] = UNREADABLE
    return change


UNREADABLE = object()  # stands for a value that no setting takes


def _check_texts(value: object, place: str) -> None:
    """No field that the worker reads holds U+0000 (or, read as such, a lone surrogate): PostgreSQL can't keep it."""
    if isinstance(value, str):
        if "\0" in value:
            raise InvalidMessage(Reason.INVALID_DATA, f"{place} holds U+0000 or a lone surrogate")
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            _check_texts(getattr(value, name), f"{place}.{name}")
    elif isinstance(value, list):
        for item in value:
            _check_texts(item, f"{place}[]")
