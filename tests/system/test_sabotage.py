"""The checker is worth what it finds: workers with one thing wrong, each seen by what its outputs say, on real servers.

Beside them, true workers come through the same blows with nothing to be found. All plays run side by side.
"""

import asyncio
import os
from pathlib import Path

import pytest

from relationship_worker.local.stack import Stack
from system.sabotage.found import Outcome, found
from system.sabotage.plays import IN_TESTS

SEED_VARIABLE = "RELATIONSHIP_WORKER_SEED"
SEED = 4  # whether a fault shows hangs on the play too: by chance it is `python -m system.sabotage --all` that plays
AT_ONCE = 4  # plays; mostly they wait for each other's servers and for groups that miss a member


@pytest.fixture(scope="module")
def outcomes(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    seed = int(os.environ.get(SEED_VARIABLE) or SEED)
    print(f"{SEED_VARIABLE}={seed}")
    folder: Path = tmp_path_factory.mktemp("sabotage")
    played = asyncio.run(found(stack, IN_TESTS, seed, folder, at_once=AT_ONCE))
    return {outcome.name: outcome for outcome in played}


@pytest.mark.parametrize("name", IN_TESTS)
def test_a_sabotaged_worker_is_found_for_what_it_is_and_nothing_in_a_true_one(
    outcomes: dict[str, Outcome], name: str
) -> None:
    assert outcomes[name].is_as_it_must_be, outcomes[name].said()
