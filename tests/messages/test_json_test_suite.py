"""The JSON test suite (see data/NOTICE): every text that must be read passes through, every other is refused."""

import json
import tarfile
from pathlib import Path

import pytest

from builders import ORDER_CREATED, STRUCTURED, an_event, structured
from relationship_worker.messages.envelope import InvalidMessage, Reason, open_envelope
from relationship_worker.messages.orders import ORDER_TYPES, Order, read_order

DATA = Path(__file__).parent.parent / "data"


def texts_of(archive: str) -> dict[str, bytes]:
    with tarfile.open(DATA / archive) as tar:
        return {
            Path(member.name).stem: tar.extractfile(member).read() for member in tar if member.name.endswith(".json")
        }


PARSING = texts_of("json-test-suite.tar.gz")
TRANSFORM = texts_of("json-test-transform.tar.gz")
READ = {name: text for name, text in PARSING.items() if name.startswith("y_")}
REFUSED = {name: text for name, text in PARSING.items() if name.startswith("n_")}
EITHER = {name: text for name, text in PARSING.items() if name.startswith("i_")}

NAUGHTY_STRINGS = json.loads((DATA / "naughty-strings.json").read_bytes())


def an_order_with(text: bytes) -> bytes:
    """An order with an unknown member of that text."""
    return b'{"unknown":' + text + b',"order_id":"o-1","supplier_id":"s-1"}'


def fate_of(data: bytes | dict[str, str]) -> Order | Reason:
    """The order, or why it is a dead letter."""
    try:
        return read_order(an_event(ORDER_CREATED, data))
    except InvalidMessage as why:
        return why.reason


def test_the_suite_is_all_there():
    assert (len(READ), len(REFUSED), len(EITHER), len(TRANSFORM)) == (95, 188, 35, 22)


@pytest.mark.parametrize("name", sorted(READ))
def test_what_must_be_read_passes_through_in_a_member_that_is_not_read(name):
    data = an_order_with(READ[name])

    order = read_order(an_event(ORDER_CREATED, data))

    assert order.order_id == "o-1"
    assert order.data == data


@pytest.mark.parametrize("name", sorted(READ))
def test_what_must_be_read_passes_through_in_an_envelope(name):
    data = an_order_with(READ[name])

    assert open_envelope(STRUCTURED, structured(data, extra=[1]), ORDER_TYPES).data == data


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_must_be_refused_is_refused_as_a_value(name):
    with pytest.raises(InvalidMessage) as why:
        read_order(an_event(ORDER_CREATED, REFUSED[name]))

    assert why.value.reason is Reason.INVALID_JSON


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_must_be_refused_is_refused_in_a_member_that_is_not_read(name):
    with pytest.raises(InvalidMessage) as why:
        read_order(an_event(ORDER_CREATED, an_order_with(REFUSED[name])))

    assert why.value.reason is Reason.INVALID_JSON


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_must_be_refused_is_refused_in_an_envelope(name):
    with pytest.raises(InvalidMessage) as why:
        open_envelope(STRUCTURED, structured(REFUSED[name]), ORDER_TYPES)

    assert why.value.reason is Reason.INVALID_JSON


@pytest.mark.parametrize("name", sorted(EITHER))
def test_what_may_be_read_or_not_passes_through_or_is_a_dead_letter(name):
    data = an_order_with(EITHER[name])

    fate = fate_of(data)

    assert fate is Reason.INVALID_JSON or fate.data == data


PASSED_ON = sorted(
    name for name in [*TRANSFORM, *EITHER] if "escaped" in name or name.startswith(("number", "i_number"))
)


@pytest.mark.parametrize("name", PASSED_ON)
def test_numbers_that_no_reader_can_hold_and_lone_surrogates_pass_through(name):
    data = an_order_with({**TRANSFORM, **EITHER}[name])

    assert read_order(an_event(ORDER_CREATED, data)).data == data


NO_UTF_8 = {"string_1_invalid_codepoint", "string_2_invalid_codepoints", "string_3_invalid_codepoints"}


@pytest.mark.parametrize("name", sorted(TRANSFORM.keys() - NO_UTF_8))
def test_what_parsers_read_differently_comes_out_as_it_went_in(name):
    data = an_order_with(TRANSFORM[name])

    assert open_envelope(STRUCTURED, structured(data), ORDER_TYPES).data == data


@pytest.mark.parametrize("name", sorted(NO_UTF_8))
def test_surrogates_that_are_written_as_bytes_are_no_utf_8(name):
    assert fate_of(an_order_with(TRANSFORM[name])) is Reason.INVALID_JSON


@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_naughty_strings_pass_through(ensure_ascii):
    data = an_order_with(json.dumps(NAUGHTY_STRINGS, ensure_ascii=ensure_ascii).encode())

    order = read_order(an_event(ORDER_CREATED, data))

    assert order.data == data


def test_naughty_strings_are_ids_of_orders_or_dead_letters():
    for text in NAUGHTY_STRINGS:
        fate = fate_of({"order_id": text, "supplier_id": "s-1"})

        assert fate is Reason.INVALID_DATA or fate.order_id == text
