"""Data as the published schemas describe it, made by Hypothesis."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers
from hypothesis.strategies import SearchStrategy

from contracts.published import schema, types_by_topic
from model.records import INPUT_TOPICS

Made = tuple[str, str, dict[str, object]]
"""A topic, a type of it, and data."""

_IDS = ("supplier_id", "customer_id", "order_id")  # each record has ids of its own
_TWO_LETTERS = "^[A-Z]{2}$"
_TEXTS = st.text(max_size=12)


def made_by_schemas(seed: int, count: int) -> list[Made]:
    """So many, always the same for a seed."""
    found: list[Made] = []

    @seeded(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(_inputs())
    def collect(made: Made) -> None:
        found.append(made)

    while len(found) < count:
        before = len(found)
        with warnings.catch_warnings(), _without_constants_of_ours():
            warnings.simplefilter("ignore")
            collect()
        assert len(found) > before, "the strategies make nothing"
    return found[:count]


@contextmanager
def _without_constants_of_ours() -> Iterator[None]:
    """Hypothesis tries the constants of whichever of our modules are loaded: a seed would mean something else in each."""
    found, cached = providers._get_local_constants, providers.CONSTANTS_CACHE
    providers._get_local_constants = providers.Constants
    providers.CONSTANTS_CACHE = type(cached)(cached.max_size)
    try:
        yield
    finally:
        providers._get_local_constants, providers.CONSTANTS_CACHE = found, cached


@cache
def _inputs() -> SearchStrategy[Made]:
    """Each topic as often as the others."""
    return st.sampled_from(INPUT_TOPICS).flatmap(_of_topic)


@cache
def _of_topic(topic: str) -> SearchStrategy[Made]:
    types = types_by_topic()[topic]
    return st.one_of(
        *[st.tuples(st.just(topic), st.just(type_), _values(schema(type_), schema(type_))) for type_ in types]
    )


def _values(part: dict[str, Any], whole: dict[str, Any]) -> SearchStrategy[Any]:
    if "$ref" in part:
        return _values(whole["$defs"][part["$ref"].rpartition("/")[2]], whole)
    if "anyOf" in part:
        return st.one_of(*[_values(one, whole) for one in part["anyOf"]])
    if "enum" in part:
        return st.sampled_from(part["enum"])
    types = part.get("type", ["string", "null", "integer"])
    types = [types] if isinstance(types, str) else types
    return st.one_of(*[_of_type(one, part, whole) for one in types])


def _of_type(type_: str, part: dict[str, Any], whole: dict[str, Any]) -> SearchStrategy[Any]:
    if type_ == "object":
        inner = {name: _values(one, whole) for name, one in part.get("properties", {}).items() if name not in _IDS}
        needed = {name: one for name, one in inner.items() if name in part.get("required", ())}
        return st.fixed_dictionaries(needed, optional={name: one for name, one in inner.items() if name not in needed})
    if type_ == "array":
        return st.lists(_values(part.get("items", {}), whole), max_size=3)
    if type_ == "integer":
        return st.integers(part.get("minimum", -3), part.get("maximum", 10**6))
    if type_ == "string":
        pattern = part.get("pattern")
        if pattern == _TWO_LETTERS:
            return st.sampled_from(("DE", "AT", "CH", "US", "JP"))  # no schema says which of them are a country
        if pattern is None or pattern == "^[^\\u0000]*$":
            return _TEXTS.map(lambda text: text.replace("\0", ""))
        return st.from_regex(re.compile(pattern.replace("$", r"\Z")), fullmatch=False)
    return {"null": st.none(), "boolean": st.booleans()}[type_]
