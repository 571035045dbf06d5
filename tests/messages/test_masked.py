"""What is shown of a record without --reveal: what the worker goes by, and of the rest the shape alone."""

import json

from builders import STRUCTURED, binary_headers, structured
from relationship_worker.messages.masked import MASK, masked_header, masked_value


def test_ids_numbers_and_dates_are_shown_and_all_else_is_masked():
    data = {
        "supplier_id": "s-1",
        "customer_id": "c-1",
        "customer_number": "4711",
        "resubmission_date": "2026-04-01",
        "decided_by": "j.meier",
        "reason": "Frau A rief an",
        "profile": {"company_name": "Müller", "contacts": [{"name": "A", "phone": 49}], "vat_id": None},
        "gift": True,
        "total": 9.5,
    }

    assert masked_value(binary_headers(), json.dumps(data).encode()) == {
        "supplier_id": "s-1",
        "customer_id": "c-1",
        "customer_number": "4711",
        "resubmission_date": "2026-04-01",
        "decided_by": MASK,
        "reason": MASK,
        "profile": {"company_name": MASK, "contacts": [{"name": MASK, "phone": MASK}], "vat_id": None},
        "gift": True,
        "total": MASK,
    }


def test_in_structured_mode_the_attributes_are_shown_and_the_data_is_masked_in_the_same_way():
    value = structured('{"order_id": "O-1", "note": "Frau A"}', of="Frau B")

    masked = masked_value(STRUCTURED, value)

    assert (masked["id"], masked["type"], masked["of"]) == ("e-1", "marketplace.order.created", MASK)
    assert masked["data"] == {"order_id": "O-1", "note": MASK}


def test_a_name_in_the_place_of_an_id_is_masked_where_it_is_no_plain_value():
    value = b'{"customer_id": {"name": "Frau A"}, "supplier_id": ["Frau B"], "order_id": "' + b"x" * 1_001 + b'"}'

    assert masked_value(binary_headers(), value) == {
        "customer_id": {"name": MASK},
        "supplier_id": [MASK],
        "order_id": MASK,
    }


def test_nothing_is_shown_of_what_can_not_be_read():
    for value in (b"", b'{"name": "Frau A', b"[1]", b'"Frau A"', b"\xff", b"[" * 2_000):
        assert masked_value(binary_headers(), value) is None


def test_a_lone_surrogate_hides_nothing_else():
    assert masked_value(binary_headers(), b'{"order_id": "O-1", "note": "a\\ud800b"}') == {
        "order_id": "O-1",
        "note": MASK,
    }


def test_of_headers_the_attributes_are_shown():
    assert masked_header("ce_id", b"e-1") == b"e-1"
    assert masked_header("Content-Type", b"application/json") == b"application/json"
    assert masked_header("x-user", b"Frau A") == MASK.encode()
    assert masked_header("x-user", None) is None
