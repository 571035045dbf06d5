"""What libraries say reaches the log once in a while, not as often as they say it."""

import json
import logging

from relationship_worker.logs import MOST_KEPT, SAME_EVERY, LibraryLine, NowAndThen


class Clock:
    """Turned by hand."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def said(sentence: str, *gaps: object, library: str = "aiokafka") -> logging.LogRecord:
    return logging.LogRecord(library, logging.ERROR, "conn.py", 1, sentence, gaps, None)


def test_a_library_that_says_the_same_again_and_again_is_heard_once_in_a_while():
    clock = Clock()
    now_and_then = NowAndThen(clock)

    heard = [now_and_then.filter(said("Unable connect to node with id %s: %s", 1, "refused")) for _ in range(500)]
    clock.now += SAME_EVERY
    later = said("Unable connect to node with id %s: %s", 2, "refused")

    assert heard == [True] + [False] * 499
    assert now_and_then.filter(later)
    assert json.loads(LibraryLine().format(later))["left_out"] == 499


def test_what_is_new_is_heard_at_once():
    now_and_then = NowAndThen(Clock())

    assert now_and_then.filter(said("Heartbeat failed"))
    assert now_and_then.filter(said("Heartbeat session expired"))
    assert now_and_then.filter(said("Heartbeat failed", library="another"))


def test_a_library_that_says_ever_new_sentences_takes_no_ever_growing_memory():
    now_and_then = NowAndThen(Clock())

    heard = [now_and_then.filter(said(f"Failed to write record {n}")) for n in (0, *range(MOST_KEPT + 1), 0)]

    assert heard == [True, False, *[True] * MOST_KEPT, True]  # the first one was forgotten


def test_what_a_library_puts_into_the_gaps_is_not_shown_and_its_moment_is():
    line = json.loads(LibraryLine().format(said("Failed to write %s", "anna@example.org")))

    assert "anna" not in json.dumps(line)
    assert line["timestamp"].endswith("Z")
    assert (line["event"], line["level"], line["says"]) == ("library", "error", "Failed to write %s")
