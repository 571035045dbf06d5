"""Kafka's client within the tests' own process."""

import pytest
from aiokafka.consumer import fetcher


@pytest.fixture(autouse=True)
def client_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reads our way (`kafka/fetched_records.py` changes the client for its whole process) leaves the client
    to the next one as it came."""
    for name in ("MemoryRecords", "PartitionRecords", "FetchResult"):
        monkeypatch.setattr(fetcher, name, getattr(fetcher, name))
