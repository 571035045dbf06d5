"""Read JSON strictly, and only what is asked for: everything else stays the bytes that it was."""

import re
from typing import TypeVar

import msgspec

T = TypeVar("T")

MAX_DEPTH = 500  # levels of nesting; the contract lets 64 pass and refuses 1,000

_ANY_VALUE = msgspec.json.Decoder(msgspec.Raw)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
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
    are asked for, a lone surrogate is read as U+0000. Among repeated keys the last counts.
    """
    try:
        text.decode()  # the decoder takes any bytes inside strings
        value = decoder.decode(text)
    except UnicodeDecodeError:
        raise NotJson("is not UTF-8") from None
    except RecursionError:
        raise NotJson(f"is nested deeper than {MAX_DEPTH} levels") from None
    except msgspec.ValidationError:
        value = _read_last_of_repeated(text, decoder, fields)
    except msgspec.DecodeError:
        value = _read_without_surrogates(text, decoder, fields)
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH:
        _check_depth(text)
    return value


def members(text: bytes) -> dict[str, bytes]:
    """The members of a JSON object, each as the bytes that it lies in. Raises NotJson or WrongShape."""
    return {name: bytes(raw) for name, raw in read(text, _MEMBERS, ()).items()}


def _read_last_of_repeated(text: bytes, decoder: msgspec.json.Decoder[T], fields: tuple[str, ...]) -> T:
    """The decoder stops at the first wrong value, but a later one of the same key may be right, or no JSON at all."""
    try:
        _ANY_VALUE.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return _read_without_surrogates(text, decoder, fields)
    try:
        last = _MEMBERS.decode(text)
        asked = b",".join(msgspec.json.encode(name) + b":" + bytes(last[name]) for name in fields if name in last)
        return decoder.decode(b"{" + asked + b"}")
    except msgspec.ValidationError as why:
        raise WrongShape(_place(why)) from None


def _read_without_surrogates(text: bytes, decoder: msgspec.json.Decoder[T], fields: tuple[str, ...]) -> T:
    readable = without_lone_surrogates(text)
    if readable == text:
        raise NotJson("is not JSON")
    return read(readable, decoder, fields)


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


def _place(why: msgspec.ValidationError) -> str:
    """msgspec's message without the value: it names types and the path alone, but for enumerations and patterns."""
    return str(why)[:200]
