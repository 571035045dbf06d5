"""What the topics held, line by line in a file: kept where something differs, because the servers go when a run ends."""

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from model.records import Record
from system.reading import Reading

SHOWN = 2_000  # bytes of a value: what a message says of itself stands in the first of them


def keep(reading: Reading, folder: Path) -> Path:
    """Write all that was read: `zgrep <an order's id>` shows where it went in, and as what it came out."""
    file = folder / "records.jsonl.gz"
    with gzip.open(file, "wt", compresslevel=1) as out:
        for line in _lines(reading):
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
    return file


def _lines(reading: Reading) -> Iterator[dict[str, object]]:
    committed = {record.place for record in reading.committed}
    aborted = [record for record in reading.uncommitted if record.place not in committed]
    for read_as, records in (("in", reading.inputs), ("out", reading.committed), ("aborted", aborted)):
        for record in _in_order(records):
            seen_at = reading.seen_at.get(record.place)
            yield {
                "as": read_as,
                "place": f"{record.topic}-{record.partition} {record.offset}",
                "at": record.at.isoformat(),
                "seen_at": seen_at and seen_at.isoformat(),
                "key": _text(record.key),
                "headers": {name: _text(value) for name, value in record.headers},
                "value": _text(record.value),
            }


def _in_order(records: Iterable[Record]) -> list[Record]:
    return sorted(records, key=lambda record: record.place)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value[:SHOWN].decode(errors="backslashreplace")
