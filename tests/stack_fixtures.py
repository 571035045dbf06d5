"""One real Kafka and one real PostgreSQL for the whole run."""

import sys
from collections.abc import Iterator

import pytest

from relationship_worker.local.stack import Stack, running_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Both servers, answering."""
    with running_stack(lambda line: print(f"{line} …", file=sys.stderr)) as stack:
        yield stack
