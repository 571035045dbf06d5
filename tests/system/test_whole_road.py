"""The whole road: two worker processes, one killed twice, and every output held against the model."""

import os
import secrets
from datetime import UTC, datetime

from roads.driving import Road
from system.blows import blows
from system.expectations import expectations
from system.play import judged, report
from system.player import play
from system.scenario import Size, scenario

SEED_VARIABLE = "RELATIONSHIP_WORKER_SEED"


async def test_two_workers_of_which_one_is_killed_twice_say_exactly_what_the_model_says(road: Road) -> None:
    seed = int(os.environ.get(SEED_VARIABLE) or secrets.randbelow(2**31))
    print(f"{SEED_VARIABLE}={seed}")
    expected = expectations(scenario(seed, datetime.now(UTC), Size()))

    played = await play(road, expected, blows(seed, len(expected.plan.rounds), kills=2, stops=0), workers=2)
    verdict = judged(expected, played)

    assert verdict.differences == (), f"{SEED_VARIABLE}={seed}\n{report(verdict, played)}"
    assert played.troubles == (), f"{SEED_VARIABLE}={seed}\n{report(verdict, played)}"
