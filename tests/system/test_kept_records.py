"""Where a run differs, what it read is kept: somebody will ask by which way an order came."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

from model.records import ENRICHED
from system.kept_records import keep
from system.spoilt.history import History


def test_an_orders_way_can_be_read_in_what_was_kept_also_of_an_attempt_that_was_aborted(tmp_path: Path) -> None:
    history = History.of_seed(6)
    told = next(record for record in history.reading.committed if record.topic == ENRICHED)
    aborted = replace(told, offset=1_000_000)
    reading = replace(history.reading, uncommitted=[*history.reading.uncommitted, aborted])

    with gzip.open(keep(reading, tmp_path), "rt") as file:
        lines = [json.loads(line) for line in file]

    cause = told.header("ce_causationid")
    ways = [line for line in lines if cause in (line["headers"].get("ce_id"), line["headers"].get("ce_causationid"))]
    assert {line["as"] for line in ways} == {"in", "out", "aborted"}
    assert f"{ENRICHED}-{told.partition} {told.offset}" in [line["place"] for line in ways if line["as"] == "out"]
