"""The desk that these tests ask at."""

import pytest

from views.desk import Desk


@pytest.fixture
def desk(database, database_url: str) -> Desk:
    """On a database of the test's own."""
    return Desk(database, database_url)
