"""The pages change nothing: nobody needs a token for them, because there is nothing that one would allow."""

import http.client
from collections.abc import AsyncIterator, Iterator

import pytest

from relationship_worker.health import Health
from relationship_worker.health_pages import HealthPages
from relationship_worker.pages import Pages
from relationship_worker.settings import Settings
from system.test_health import PAGES

NO_PAGES = (
    "/",
    "/docs",
    "/docs/asyncapi",
    "/docs/asyncapi/try",
    "/asyncapi",
    "/asyncapi/try",
    "/dead-letters",
    "/replay",
)


@pytest.fixture
async def shown() -> AsyncIterator[HealthPages]:
    """Closed at the end: health that listens to a loop that is over ends the process, here that of all tests."""
    health = Health(ready_seconds=60)
    yield HealthPages(health, group="relationship-worker", roads="all")
    health.close()


@pytest.fixture
def port(shown: HealthPages) -> Iterator[int]:
    return Pages("127.0.0.1", 0, shown.show).port


def asked(port: int, method: str, path: str, host: str = "127.0.0.1") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.request(method, path, body=b"{}" if method not in ("GET", "HEAD") else None)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_there_are_no_pages_but_those_that_are_looked_at_here(shown: HealthPages):
    assert set(shown.pages) == set(PAGES)


@pytest.mark.parametrize("path", [*PAGES, *NO_PAGES])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "TRY", "get"])
def test_no_page_takes_anything_but_a_look(port: int, method: str, path: str):
    assert asked(port, method, path)[0] == 501


@pytest.mark.parametrize("path", NO_PAGES)
def test_there_is_no_page_from_which_something_could_be_tried(port: int, path: str):
    assert asked(port, "GET", path)[0] == 404


def test_nobody_sees_the_pages_from_elsewhere_unless_the_settings_say_so(port: int):
    assert Settings.model_fields["http_host"].default == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError):
        asked(port, "GET", "/status", host="127.0.0.2")
