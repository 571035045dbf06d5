"""A seed names the same bad input wherever it is played: what was found by one can be looked at again."""

import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
_PRINTS_A_SUM = """
import hashlib
from system.schema_records import made_by_schemas
print(hashlib.sha256(repr(made_by_schemas(7, 300)).encode()).hexdigest())
"""


def test_the_same_seed_makes_the_same_records_whatever_else_is_loaded() -> None:
    sums = {sum_of(_PRINTS_A_SUM), sum_of("import system.bad_input_play, roads.driving" + _PRINTS_A_SUM)}

    assert len(sums) == 1


def sum_of(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=TESTS, capture_output=True, text=True, check=True)
    return done.stdout
