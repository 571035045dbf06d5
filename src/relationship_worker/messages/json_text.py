"""Read JSON strictly, and only what is asked for: everything else stays the bytes that it was."""

import json
import re
from typing import TypeVar

import msgspec

T = TypeVar("T")

MAX_DEPTH = 700  # levels of nesting; the contract lets 64 pass and refuses 1,000
FLAT_BYTES = 2 * MAX_DEPTH  # a text that is no longer can't be nested deeper, each level has two brackets

_ANY_VALUE = msgspec.json.Decoder(msgspec.Raw)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{},:]', re.DOTALL)
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair: one character
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"  # a lone surrogate
    rb"|\\.",
    re.DOTALL,
)
_LONE_SURROGATE = 6  # bytes of its escape; a pair has 12, any other escape 2


class NotJson(ValueError):
    """No JSON text in UTF-8. The message says what is wrong, without any of the text."""


class WrongShape(ValueError):
    """JSON, but not of the shape that was asked for. The message names the place, without any of the text."""


def read(text: bytes, decoder: msgspec.json.Decoder[T], fields: tuple[str, ...]) -> T:
    """What `decoder` reads out of the text. Raises NotJson or WrongShape.

    Members that are not asked for may hold what no reader can: lone surrogates, numbers of any size. In members that
    are asked for (`fields`), a lone surrogate is read as U+0000. Among repeated keys the last counts.
    """
    if not is_flat(text):
        _check_depth(text)
    try:
        if not text.isascii():
            text.decode()  # the decoder takes any bytes inside strings
        return decoder.decode(text)
    except UnicodeDecodeError:
        raise NotJson("is not UTF-8") from None
    except RecursionError:
        raise NotJson(f"is nested deeper than {MAX_DEPTH} levels") from None
    except msgspec.ValidationError:
        return _read_last_of_repeated(text, decoder, fields)
    except msgspec.DecodeError as why:
        return _read_without_surrogates(text, decoder, fields, why)


def is_flat(text: bytes) -> bool:
    """True for a text that can't be nested deeper than MAX_DEPTH, whatever it is. A false one may be deep or not."""
    return len(text) <= FLAT_BYTES or text.count(b"[") + text.count(b"{") <= MAX_DEPTH


def members(text: bytes) -> dict[str, bytes]:
    """The members of a JSON object, each as the bytes that it lies in. Raises NotJson or WrongShape."""
    found = read(text, _MEMBERS, ())
    if text == without_lone_surrogates(text):
        return {name: bytes(raw) for name, raw in found.items()}
    return _spans(text)


def _read_last_of_repeated(text: bytes, decoder: msgspec.json.Decoder[T], fields: tuple[str, ...]) -> T:
    """The decoder stops at the first wrong value, but a later one of the same key may be right, or no JSON at all."""
    try:
        _ANY_VALUE.decode(text)
    except msgspec.DecodeError as why:
        return _read_without_surrogates(text, decoder, fields, why)
    whole = json.loads(without_lone_surrogates(text), parse_int=_some_number, parse_float=_some_number)
    if not isinstance(whole, dict):
        raise WrongShape("is no object")
    try:
        return decoder.decode(json.dumps({name: whole[name] for name in fields if name in whole}))
    except msgspec.ValidationError as why:
        raise WrongShape(_place(why)) from None


def _some_number(_: str) -> int:
    """No field that is asked for is a number: that it is one is all that matters, however large."""
    return 0


def _read_without_surrogates(
    text: bytes, decoder: msgspec.json.Decoder[T], fields: tuple[str, ...], why: msgspec.DecodeError
) -> T:
    readable = without_lone_surrogates(text)
    if readable == text:
        raise NotJson(f"is not JSON ({_what_and_where(why)})") from None
    return read(readable, decoder, fields)


def _spans(text: bytes) -> dict[str, bytes]:
    """The members of a text that is known to be a JSON object, cut out where they lie."""
    found: dict[str, bytes] = {}
    depth, start = 0, 0
    name: str | None = None
    last = b""
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in (b"}", b"]"):
            depth -= 1
        if name is not None and ((depth == 1 and token == b",") or depth == 0):
            found[name] = text[start : match.start()].strip(b" \t\r\n")
            name = None
        elif depth == 1 and token == b":" and name is None:
            name, start = json.loads(last), match.end()
        if token in (b"{", b"["):
            depth += 1
        last = token
    return found


def without_lone_surrogates(text: bytes) -> bytes:
    r"""The text with `\u0000` for each escape of a lone surrogate: of the same length, so that all else stays in place."""
    return _ESCAPE.sub(lambda m: rb"\u0000" if len(m[0]) == _LONE_SURROGATE else m[0], text)


def _check_depth(text: bytes) -> None:
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        first = text[match.start()]
        if first in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise NotJson(f"is nested deeper than {MAX_DEPTH} levels")
        elif first in b"]}":
            depth -= 1


def _what_and_where(why: msgspec.DecodeError) -> str:
    """msgspec's message: it names the byte, and holds nothing of the text."""
    said = str(why)
    return "it ends too early" if "truncated" in said else said.removeprefix("JSON is malformed: ")


def _place(why: msgspec.ValidationError) -> str:
    """msgspec's message without the value: it names types and the path alone, but for enumerations and patterns."""
    return str(why)[:200]
