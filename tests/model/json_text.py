"""JSON as the wire has it: what counts as readable, and the slice that a member is."""

import json
from dataclasses import dataclass
from json.decoder import scanstring

BLANKS = " \t\r\n"
NESTING = 500  # 64 levels pass, 1,000 do not; what lies between is nobody's promise


class NotJson(Exception):
    """The bytes are no JSON in UTF-8."""


@dataclass(frozen=True)
class Number:
    """A number as it was written: no float is made of it."""

    text: str


def _refuse(constant: str) -> object:
    raise NotJson(constant)


_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=_refuse)


def read_json(value: bytes) -> object:
    """The value of a text. Among repeated keys the last counts. Raises NotJson."""
    try:
        text = value.decode("utf-8")
        read = _DECODER.decode(text)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as why:
        raise NotJson(type(why).__name__) from None
    if _depth(text) > NESTING:
        raise NotJson("nested too deep")
    return read


def _depth(text: str) -> int:
    if text.count("[") + text.count("{") <= NESTING:
        return NESTING  # at most
    deepest = depth = 0
    place = 0
    while place < len(text):
        match text[place]:
            case '"':
                _, place = scanstring(text, place + 1, False)
                continue
            case "[" | "{":
                depth += 1
                deepest = max(deepest, depth)
            case "]" | "}":
                depth -= 1
        place += 1
    return deepest


def member(value: bytes, name: str) -> bytes | None:
    """The slice of a top-level member as it lies in an object's text, the last one of that name."""
    text = value.decode("utf-8")
    found = None
    place = _after_blanks(text, 0) + 1
    while True:
        place = _after_blanks(text, place)
        if text[place] == "}":
            return found
        key, place = scanstring(text, place + 1, True)
        place = _after_blanks(text, place) + 1  # the colon
        start = _after_blanks(text, place)
        _, place = _DECODER.raw_decode(text, start)
        if key == name:
            found = text[start:place].encode("utf-8")
        place = _after_blanks(text, place)
        if text[place] == ",":
            place += 1


def without_outer_blanks(value: bytes) -> bytes:
    """The bytes without JSON's white space around them."""
    return value.strip(BLANKS.encode())


def _after_blanks(text: str, place: int) -> int:
    while text[place] in BLANKS:
        place += 1
    return place
