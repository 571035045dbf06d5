"""Customer numbers are text: what is trimmed, what is composed, what is refused."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from builders import patient
from relationship_worker.domain.customer_number_text import InvalidCustomerNumber, customer_number

# The 25 characters with the property White_Space in PropList.txt of the Unicode Character Database.
WHITE_SPACE = (
    "\u0009\u000a\u000b\u000c\u000d\u0020\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000"
)


@pytest.mark.parametrize(
    "text", ["4711", "00042", "DE-4711/a", "47 11", "#", "ÄÖÜß", "客户42", "٤٧١١", "17850.0", "1e5"]
)
def test_letters_leading_zeros_and_inner_spaces_survive(text):
    assert customer_number(text, max_length=20) == text


@pytest.mark.parametrize("text", ["7", "aB", "Ab", "０４２", "ﬁ", "²"])
def test_nothing_is_padded_folded_or_made_compatible(text):
    assert customer_number(text, max_length=20) == text


@pytest.mark.parametrize("space", WHITE_SPACE, ids=lambda c: f"U+{ord(c):04X}")
def test_outer_white_space_is_trimmed(space):
    assert customer_number(f"{space}{space}47 11{space}", max_length=5) == "47 11"


@pytest.mark.parametrize("space", WHITE_SPACE, ids=lambda c: f"U+{ord(c):04X}")
def test_a_blank_number_brings_none(space):
    assert customer_number(space * 30, max_length=1) is None


@pytest.mark.parametrize("text", [None, ""])
def test_null_and_empty_bring_none(text):
    assert customer_number(text, max_length=20) is None


INVISIBLE = [
    *"\x00\x01\x08\x0e\x1b\x1c\x1d\x1e\x1f\x7f\x80\x84\x86\x9f",
    *"\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2061\u2066\u2069\ufeff\ufff9\ufffb",
    "\U000110bd",
    "\U000e0001",
    "\U000e0041",
    "\ud800",
    "\udfff",
]


@pytest.mark.parametrize("character", INVISIBLE, ids=lambda c: f"U+{ord(c):04X}")
@pytest.mark.parametrize("text", ["47{}11", "{}4711", "4711{}", "{}", " {} "])
def test_invisible_characters_are_refused_inside_and_outside(character, text):
    with pytest.raises(InvalidCustomerNumber):
        customer_number(text.format(character), max_length=20)


@pytest.mark.parametrize("character", "\t\n\v\f\r\u0085\u2028\u2029", ids=lambda c: f"U+{ord(c):04X}")
def test_white_space_that_controls_or_separates_is_refused_inside(character):
    with pytest.raises(InvalidCustomerNumber):
        customer_number(f"47{character}11", max_length=20)


@pytest.mark.parametrize(
    "character", " \u00a0\u1680\u2002\u2003\u2009\u202f\u205f\u3000", ids=lambda c: f"U+{ord(c):04X}"
)
def test_other_white_space_stays_inside(character):
    assert customer_number(f"47{character}11", max_length=20) == f"47{character}11"


def test_why_a_number_is_refused_does_not_repeat_it():
    with pytest.raises(InvalidCustomerNumber) as why:
        customer_number("secret\x00", max_length=20)

    assert "secret" not in str(why.value)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Mu\u0308ller", "M\u00fcller"),
        ("\u212b1", "\u00c51"),  # the sign for Ångström is the letter
        ("\u1100\u1161\u11a8", "\uac01"),  # Hangul
        ("\ufb01x", "\ufb01x"),  # a ligature is only compatible
        ("q\u0323\u0307", "q\u0323\u0307"),
        ("q\u0307\u0323", "q\u0323\u0307"),  # marks in canonical order
        ("4\u20007", "4\u20027"),  # a space that is another one
    ],
)
def test_a_number_is_kept_in_nfc(text, kept):
    assert customer_number(text, max_length=20) == kept


@pytest.mark.parametrize(
    "text", ["1" * 20, "u\u0308" * 20, "\U0001f600" * 20, "\U00020000" * 20, " " * 9 + "1" * 20 + "\u3000"]
)
def test_a_number_may_have_as_many_code_points_as_the_platform_carries(text):
    kept = customer_number(text, max_length=20)

    assert kept is not None
    assert len(kept) == 20


@pytest.mark.parametrize("text", ["1" * 21, "u\u0308" * 21, "\U0001f600" * 21, "1" * 10 + " " + "1" * 10])
def test_a_longer_number_is_refused_and_never_cut(text):
    with pytest.raises(InvalidCustomerNumber):
        customer_number(text, max_length=20)


def test_the_length_counts_after_nfc_also_where_that_is_longer():
    grows = "\u0958" * 11  # one code point each, two each in NFC

    with pytest.raises(InvalidCustomerNumber):
        customer_number(grows, max_length=20)


@pytest.mark.parametrize(("length", "text"), [(1, "1"), (64, "1" * 64)])
def test_a_supplier_chooses_the_length(length, text):
    assert customer_number(text, max_length=length) == text

    with pytest.raises(InvalidCustomerNumber):
        customer_number(text + "1", max_length=length)


@patient
@given(st.text(max_size=30))
@example("\u2000\u0308")
@example("\u0344\u1fed")
def test_the_kept_form_is_kept_as_it_is(text):
    try:
        kept = customer_number(text, max_length=64)
    except InvalidCustomerNumber:
        return

    assert customer_number(kept, max_length=64) == kept


@patient
@given(st.text(min_size=1, max_size=30))
def test_a_kept_number_is_visible_composed_and_trimmed(text):
    try:
        kept = customer_number(text, max_length=20)
    except InvalidCustomerNumber:
        return

    if kept is not None:
        assert 1 <= len(kept) <= 20
        assert unicodedata.is_normalized("NFC", kept)
        assert not {unicodedata.category(c) for c in kept} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
        assert kept[0] not in WHITE_SPACE
        assert kept[-1] not in WHITE_SPACE
