"""The fields that the worker reads, per type: what makes data unbelievable."""

import re
from collections.abc import Callable, Mapping
from unicodedata import category

from model.customer_number_text import WHITE_SPACE
from model.times import read_time

Check = Callable[[object], bool]

_PARTY = re.compile(r"[A-Za-z0-9._:@+-]{1,64}")
_LONGEST_ORDER_ID = 128


def are_believable(type_: str, data: Mapping[str, object]) -> bool:
    """Whether all fields of the type that are read have the right JSON type and form."""
    needed, optional = _FIELDS[type_]
    return all(name in data and check(data[name]) for name, check in needed.items()) and all(
        data.get(name) is None or check(data[name]) for name, check in optional.items()
    )


def is_text(value: object) -> bool:
    """A string that PostgreSQL can hold: no NUL, no lone surrogate."""
    return isinstance(value, str) and "\0" not in value and not any(0xD800 <= ord(c) <= 0xDFFF for c in value)


def _is_party(value: object) -> bool:
    return isinstance(value, str) and _PARTY.fullmatch(value) is not None


def _is_order_id(value: object) -> bool:
    return (
        is_text(value)
        and 1 <= len(value) <= _LONGEST_ORDER_ID
        and value.strip(WHITE_SPACE) == value
        and not any(category(character) in ("Cc", "Cf", "Zl", "Zp") for character in value)
    )


def _is_time(value: object) -> bool:
    return isinstance(value, str) and read_time(value) is not None


def _or_null(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _object_of(**fields: Check) -> Check:
    def check(value: object) -> bool:
        return isinstance(value, dict) and all(
            value.get(name) is None or field(value[name]) for name, field in fields.items()
        )

    return check


def _list_of(each: Check) -> Check:
    return lambda value: isinstance(value, list) and all(each(one) for one in value)


_ADDRESS = _object_of(street=is_text, postal_code=is_text, city=is_text, country=is_text)
_CONTACT = _object_of(name=is_text, email=is_text, phone=is_text)
_PROFILE = _object_of(
    company_name=is_text,
    address=_ADDRESS,
    vat_id=is_text,
    platform_id=is_text,
    currency=is_text,
    contacts=_list_of(_CONTACT),
)
_LISTED = _list_of(_object_of(id=is_text, name=is_text))
_ASSORTMENT = _object_of(catalogues=_LISTED, price_lists=_LISTED)

_BOTH = {"supplier_id": _is_party, "customer_id": _is_party}
_WHO = {"decided_by": is_text, "reason": is_text}  # of every decision

# Per type: the fields that must be there, and those that may be absent or null.
_FIELDS: dict[str, tuple[dict[str, Check], dict[str, Check]]] = {
    "marketplace.connection.requested": (_BOTH, {"profile": _PROFILE, "message": is_text}),
    "marketplace.connection.withdrawn": (_BOTH, {}),
    "marketplace.customer.profile-updated": (_BOTH | {"profile": _PROFILE}, {}),
    "marketplace.customer.assortment-assigned": (_BOTH | {"assortment": _ASSORTMENT}, {}),
    "marketplace.customer.erased": ({"customer_id": _is_party}, {"supplier_id": _is_party}),
    "supplier.connection.accepted": (_BOTH, _WHO | {"customer_number": is_text}),
    "supplier.connection.rejected": (_BOTH, _WHO),
    "supplier.connection.deferred": (_BOTH, _WHO | {"resubmission_date": is_text}),
    "supplier.connection.ended": (_BOTH, _WHO),
    # The number must be there: only a null that somebody wrote removes one.
    "supplier.customer-number.assigned": (_BOTH | {"customer_number": _or_null(is_text)}, _WHO),
    "supplier.settings.changed": ({"supplier_id": _is_party}, {}),
    # A channel of any type is read: what is not known is flagged.
    "marketplace.order.created": (
        {"order_id": _is_order_id, "supplier_id": _is_party},
        {"customer_id": _is_party, "created_at": _is_time},
    ),
}
