"""Bad input at scale, a slice of it: each record that nobody can read is a dead letter, once; all others are answered."""

import os
import secrets

from roads.driving import Road
from system.bad_input_play import MOST_MEMORY, run

SEED_VARIABLE = "RELATIONSHIP_WORKER_SEED"


async def test_thousands_of_hostile_and_broken_records_change_nothing_for_those_between_them(road: Road) -> None:
    seed = int(os.environ.get(SEED_VARIABLE) or secrets.randbelow(2**31))
    print(f"{SEED_VARIABLE}={seed}")

    done = await run(road, seed, generated=1_000, hostile_share=0.4)

    assert done.verdict.differences == (), f"{SEED_VARIABLE}={seed}\n{done.report()}"
    assert done.troubles == [], f"{SEED_VARIABLE}={seed}\n{done.report()}"
    assert done.dead_letters > 1_000
    assert done.memory < MOST_MEMORY
