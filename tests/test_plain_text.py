"""Which hosts plain text may go to."""

import pytest

from relationship_worker.plain_text import is_loopback


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "::1", "[::1]"])
def test_what_stays_on_this_machine_is_loopback(host: str):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["kafka", "localhost.example.org", "10.0.0.1", "0.0.0.0", "128.0.0.1", "::2", ""])
def test_what_may_leave_it_is_not(host: str):
    assert not is_loopback(host)
