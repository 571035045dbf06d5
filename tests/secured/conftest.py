"""One secured Kafka for all tests of this folder."""

import gc
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from relationship_worker.local.kafka import kafka_jars
from secured.broker import SecuredKafka
from secured.people import Desk, opened_desk


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The drivers leave a socket open whose handshake was refused, and say so once it is collected, in any test."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What a test has left is collected before it is over, not in a test of another folder."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """Started; nobody but the tests themselves has any right yet."""
    folder = tmp_path_factory.mktemp("secured")
    kafka = SecuredKafka(folder / "kafka", kafka_jars(lambda line: print(line, file=sys.stderr)), folder)
    kafka.prepare()
    try:
        kafka.start()
        yield kafka
    finally:
        kafka.stop()


@pytest_asyncio.fixture
async def desk(secured: SecuredKafka, database_url: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Desk]:
    """Topics' names and a database of the test's own; no topic is made, and nobody has a right to them."""
    async with opened_desk(secured, database_url, topic_prefix, tmp_path) as made:
        yield made
