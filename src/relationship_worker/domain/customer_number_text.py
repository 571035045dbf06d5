"""What a customer number may look like, and the form in which it is kept."""

import unicodedata

# Unicode White_Space: what `str.strip()` takes, less the four separators U+001C..U+001F, which are control characters.
WHITE_SPACE = "".join(
    chr(c)
    for c in (
        *range(0x09, 0x0E),
        0x20,
        0x85,
        0xA0,
        0x1680,
        *range(0x2000, 0x200B),
        0x2028,
        0x2029,
        0x202F,
        0x205F,
        0x3000,
    )
)

# Control, format (zero-width, bidi), surrogate, line and paragraph separators: invisible in an ERP's mask, so refused.
REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class InvalidCustomerNumber(ValueError):
    """The text can't be a customer number; the message says why, without repeating the text."""


def has_hidden_characters(text: str) -> bool:
    """True where a reader could not see all of the text: control, zero-width, bidi and separator characters, surrogates."""
    if text.isascii():
        return not text.isprintable()
    return any(unicodedata.category(c) in REFUSED_CATEGORIES for c in text)


def customer_number(text: str | None, *, max_length: int) -> str | None:
    """The form in which a number is kept: trimmed and in NFC; None where the text brings none (null, empty, blank).

    `max_length` counts code points of the kept form. Raises InvalidCustomerNumber.
    """
    if text is None:
        return None
    kept = unicodedata.normalize("NFC", text.strip(WHITE_SPACE))
    if not kept:
        return None
    if has_hidden_characters(kept):
        raise InvalidCustomerNumber("holds a control, zero-width, bidi or separator character")
    if len(kept) > max_length:
        raise InvalidCustomerNumber(f"is longer than {max_length} characters")
    return kept
