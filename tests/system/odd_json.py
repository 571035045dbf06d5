"""JSON text in all the shapes that producers give it, and values that only survive where nobody reads them."""

import json
from collections.abc import Sequence
from random import Random

NESTED = 56  # with the data, an envelope and the worker's own object around it still under 64 levels

_ODD_VALUES = (
    "1E400",
    "-0",
    "1e-999",
    "0.1000000000000000055511151231257827",
    "123456789012345678901234567890",
    "1.10",
    "49.90",
    "true",
    "null",
    "[]",
    "{}",
    '{"a":1,"a":2,"A":3}',
    '"\\ud800 alone"',
    '"NUL \\u0000 inside"',
    '"\\/ \\u00fc \\b\\f"',
    '"€ 𝄞 \u2028"',
    '{"order_id":"not the order\'s","customer_id":7,"customer_number":{"number":"not this one"}}',
    "[" * NESTED + "]" * NESTED,
    '[{"sku":"00042","price":2.10,"quantity":1e0},{"sku":"7","price":1111.0}]',
)
# The white space before a key, after a colon and at the end.
_STYLES = (("", "", ""), ("", " ", " "), ("\n  ", " ", "\n"), (" \t", "\r\n", " "))


def string(rng: Random, text: str) -> str:
    """A string, sometimes with letters escaped that need no escape."""
    lone_surrogates = any(0xD800 <= ord(letter) <= 0xDFFF for letter in text)
    written = json.dumps(text, ensure_ascii=lone_surrogates or rng.random() < 0.5)
    if rng.random() < 0.1 and text.isascii() and text.isalnum():
        return '"' + "".join(f"\\u{ord(letter):04x}" for letter in text) + '"'
    if rng.random() < 0.1:
        return written.replace("/", "\\/")
    return written


def odd_value(rng: Random) -> str:
    """A value for a field that nobody reads."""
    return rng.choice(_ODD_VALUES)


def value(rng: Random, of: object) -> str:
    """The text of a plain value."""
    return string(rng, of) if isinstance(of, str) else json.dumps(of, ensure_ascii=False)


def object_text(rng: Random, fields: Sequence[tuple[str, object]], oddity: float = 0.3) -> str:
    """An object: shuffled, with unknown fields, repeated keys (the last one counts) and odd spaces."""
    written = [(name, value(rng, of)) for name, of in fields]
    rng.shuffle(written)
    if rng.random() < oddity:
        for serial in range(rng.randint(1, 3)):
            written.insert(rng.randrange(len(written) + 1), (f"x_{serial}", odd_value(rng)))
    if rng.random() < oddity / 4:
        decoy, _ = rng.choice(written)
        written.insert(0, (decoy, '"a decoy: the last one counts"'))
    before, after_colon, end = rng.choice(_STYLES)
    members = (f"{before}{_key(rng, name)}:{after_colon}{text}" for name, text in written)
    return "{" + ",".join(members) + end + "}"


def _key(rng: Random, name: str) -> str:
    if rng.random() < 0.02:
        return f'"\\u{ord(name[0]):04x}{name[1:]}"'
    return f'"{name}"'
