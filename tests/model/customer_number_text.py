"""What may be a customer number, and how its text is kept."""

import unicodedata

# Unicode's property White_Space, written out: str.strip() takes U+001C to U+001F too, which do not have it.
WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
REFUSED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def kept_text(text: str | None) -> str:
    """Trimmed and in NFC; empty where there is no number."""
    return unicodedata.normalize("NFC", (text or "").strip(WHITE_SPACE))


def is_valid(kept: str, longest: int) -> bool:
    """Whether a kept text may stand as a number (an empty one stands for none)."""
    return len(kept) <= longest and not any(unicodedata.category(character) in REFUSED for character in kept)
