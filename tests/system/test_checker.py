"""The checker is checked: a faultless history has no differences, and what is spoilt is found for what it is."""

from collections.abc import Callable

import pytest

from system.differences import Kind
from system.spoilt import corrections, dead_letters, envelopes, orders, readings, relationships, reminders
from system.spoilt.history import History, Spoilt

SPOILT: tuple[Spoilt, ...] = (
    *orders.SPOILT,
    *corrections.SPOILT,
    *relationships.SPOILT,
    *reminders.SPOILT,
    *dead_letters.SPOILT,
    *envelopes.SPOILT,
    *readings.SPOILT,
)


@pytest.fixture(scope="module")
def faultless() -> History:
    return History.of_seed(6)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_faultless_history_has_no_differences(seed: int) -> None:
    assert History.of_seed(seed).judged().report() == "no differences"


@pytest.mark.parametrize(("spoil", "kinds"), SPOILT, ids=[spoil.__name__ for spoil, _ in SPOILT])
def test_what_is_spoilt_is_found_for_what_it_is_and_for_nothing_else(
    faultless: History, spoil: Callable[[History], None], kinds: set[Kind]
) -> None:
    history = faultless.copy()

    spoil(history)

    assert history.judged().kinds == kinds


def test_every_class_of_fault_is_tried() -> None:
    assert {kind for _, kinds in SPOILT for kind in kinds} == set(Kind)
