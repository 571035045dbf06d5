"""What every test may ask for."""

from client_fixtures import client_as_it_comes
from database_fixtures import database, database_url, empty_database_url, migrated_template
from roads.driving import own_road, road, topic_prefix
from stack_fixtures import stack

__all__ = [
    "client_as_it_comes",
    "database",
    "database_url",
    "empty_database_url",
    "migrated_template",
    "own_road",
    "road",
    "stack",
    "topic_prefix",
]
