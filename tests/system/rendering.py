"""What a faultless worker would have written: the model's outputs as records, for checking the checker."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from model.envelope import read_event
from model.records import (
    DEAD_LETTERS,
    ENRICHED,
    UNDETERMINED,
    Answer,
    Correction,
    DeadLetter,
    EnrichedOrder,
    Expected,
    Record,
    Reminder,
)
from system.expectations import Expectations
from system.plan import Plan, partition_of
from system.reading import Reading

_ROUND = timedelta(seconds=10)
_ANSWERED_AFTER = timedelta(seconds=1)
_ATTEMPTED = 3  # orders of a partition
_EARLIER = b"2000-01-01T00:00:00+00:00"
_BEHIND_ALL = 10_000_000  # offsets at which nothing else lies


def rendered(expected: Expectations) -> list[Record]:
    """All outputs, in an order in which they may come."""
    offsets: Counter[tuple[str, int]] = Counter()
    records = []
    for told in (*expected.told, *expected.reminders, *expected.dead_letters):
        record = _dead_letter(told) if isinstance(told, DeadLetter) else _output(told, expected.plan.now)
        spot = (record.topic, record.partition)
        records.append(_at(record, offsets[spot]))
        offsets[spot] += 1
    return records


def rendered_reading(expected: Expectations) -> Reading:
    """All outputs as their readers would have found them: each round ten seconds after the one before."""
    committed = rendered(expected)
    inputs, sent_at = _inputs_with_times(expected.plan)
    seen_at = {}
    newest = expected.plan.now
    for record in committed:  # in the order in which they come; a decision that waited is told behind its request
        cause = (record.header("ce_causationsource") or "", record.header("ce_causationid") or "")
        newest = max(newest, sent_at.get(cause, newest))
        seen_at[record.place] = newest + _ANSWERED_AFTER
    return Reading(
        inputs=inputs,
        committed=committed,
        uncommitted=[*committed, *_aborted(committed)],
        live=committed,
        seen_at=seen_at,
        undecided={},
        lag={},
    )


def _inputs_with_times(plan: Plan) -> tuple[list[Record], dict[tuple[str, str], datetime]]:
    """What was sent, and when each event was sent first."""
    inputs = []
    sent_at: dict[tuple[str, str], datetime] = {}
    for number, round_ in enumerate(plan.rounds):
        at = plan.now + number * _ROUND
        for record in (*round_.early, *round_.relationships, *round_.orders):
            inputs.append(replace(record, at=at))
            event = read_event(record)
            if not isinstance(event, str):
                sent_at.setdefault((event.cause.source, event.cause.id), at)
    return inputs, sent_at


def _aborted(committed: Sequence[Record]) -> list[Record]:
    """An earlier attempt to tell the first orders of each partition: written, and never visible."""
    first = [record for record in committed if record.topic == ENRICHED and record.offset < _ATTEMPTED]
    return [
        replace(
            record,
            offset=_BEHIND_ALL + record.offset,
            headers=tuple((n, _EARLIER if n == "ce_time" else v) for n, v in record.headers),
        )
        for record in first
    ]


def rendered_answer(answer: Answer) -> bytes:
    """An answer as JSON."""
    return _json(
        {
            "number": answer.number,
            "source": answer.source,
            "reason": answer.reason,
            "rule": answer.rule,
            "relationship_version": answer.relationship_version,
            "as_of": answer.as_of,
            "flags": list(answer.flags),
        }
    )


def _output(told: Expected, now: datetime) -> Record:
    headers = {
        "ce_specversion": "1.0",
        "ce_id": f"{told.type}:{told.cause.topic}:{told.cause.source}:{told.cause.id}",
        "ce_source": "relationship-worker",
        "ce_type": told.type,
        "ce_subject": told.subject,
        "ce_time": now.isoformat(),
        "ce_causationid": told.cause.id,
        "ce_causationsource": told.cause.source,
        "content-type": "application/json",
    }
    data = _json(told.data)
    if isinstance(told, Correction):
        headers["ce_id"] += f":{told.supplier_id}:{told.order_id}"
        headers |= _routing(told.supplier_id, told.customer_id, told.answer.number)
        data = _correction(told)
    if isinstance(told, Reminder):
        late = int((now - told.due_at).total_seconds())
        data = _json({**told.data, "late_seconds": late})
    if isinstance(told, EnrichedOrder):
        headers |= _routing(told.supplier_id, told.customer_id, told.answer.number)
        data = b'{"customer_number":' + rendered_answer(told.answer) + b',"order":' + told.order + b"}"
    return Record(
        topic=told.topic,
        partition=0 if told.key is None else partition_of(told.key),
        offset=0,
        key=told.key,
        value=data,
        headers=(*((name, text.encode()) for name, text in headers.items()), *told.trace),
        at=now,
    )


def _routing(supplier_id: str, customer_id: str | None, number: str | None) -> dict[str, str]:
    extensions = {"supplierid": supplier_id, "customerid": customer_id, "customernumber": number}
    return {f"ce_{name}": text for name, text in extensions.items() if text is not None}


def _correction(told: Correction) -> bytes:
    ids = _json({"order_id": told.order_id, "supplier_id": told.supplier_id, "customer_id": told.customer_id})
    answers = b',"previous":' + rendered_answer(told.previous) + b',"customer_number":' + rendered_answer(told.answer)
    return ids[:-1] + answers + b"}"


def _dead_letter(letter: DeadLetter) -> Record:
    came = letter.record
    added = (
        ("deadletter-reason", letter.reason.encode()),
        ("deadletter-detail", b"as the model says"),
        ("deadletter-topic", came.topic.encode()),
        ("deadletter-partition", b"%d" % came.partition),
        ("deadletter-offset", b"%d" % came.offset),
    )
    return Record(
        topic=DEAD_LETTERS,
        partition=came.partition,
        offset=0,
        key=came.key,
        value=came.value,
        headers=came.headers + added,
        at=came.at,
    )


def _json(data: Mapping[str, object]) -> bytes:
    return json.dumps(data, default=_written, ensure_ascii=False).encode()


def _written(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    assert value is UNDETERMINED, value
    return True


def _at(record: Record, offset: int) -> Record:
    return Record(
        topic=record.topic,
        partition=record.partition,
        offset=offset,
        key=record.key,
        value=record.value,
        headers=record.headers,
        at=record.at,
    )
