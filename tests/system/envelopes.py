"""Events as producers send them: in both modes, sent again, and with times written in every way that is read."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from random import Random

from model.records import Record
from system.odd_json import object_text, string
from system.plan import PARTITIONS, partition_of

_OFFSETS = (0, 60, 120, -480, 345, 840)  # minutes


@dataclass(frozen=True, kw_only=True)
class Sending:
    """An event that a producer has: it can be sent again, in the other mode too."""

    topic: str
    key: bytes | None
    partition: int
    id: str
    source: str
    type: str
    time: datetime
    data: str
    trace: tuple[str, str] | None = None  # the name of a header, and its value


def partition_for(rng: Random, key: bytes | None) -> int:
    """A key's partition, any for none."""
    return rng.randrange(PARTITIONS) if key is None else partition_of(key)


def sent(rng: Random, sending: Sending) -> Record:
    """The event as a record, in one of the two modes."""
    return structured(rng, sending) if rng.random() < 0.3 else binary(rng, sending)


def binary(rng: Random, sending: Sending) -> Record:
    """Attributes in headers, data in the value."""
    headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", sending.id),
        ("ce_source", sending.source),
        ("ce_type", sending.type),
        ("ce_time", time_text(rng, sending.time)),
        ("content-type", rng.choice(("application/json", "application/json", "application/json; charset=utf-8"))),
    ]
    rng.shuffle(headers)
    data = sending.data
    if rng.random() < 0.05:
        data = f"\n {data}\t"
    return _record(sending, data.encode("utf-8"), _and_trace(rng, sending, headers))


def structured(rng: Random, sending: Sending) -> Record:
    """All of it in the value."""
    members = [
        ("specversion", '"1.0"'),
        ("id", string(rng, sending.id)),
        ("source", string(rng, sending.source)),
        ("type", string(rng, sending.type)),
        ("time", string(rng, time_text(rng, sending.time))),
        ("data", sending.data),
    ]
    if rng.random() < 0.5:
        members.append(("datacontenttype", '"application/json"'))
    if rng.random() < 0.2:
        members.append(("partofshop", '"north"'))
    headers = [("content-type", "application/cloudevents+json" + rng.choice(("", "; charset=UTF-8")))]
    if sending.trace is not None and sending.trace[0].startswith("ce_"):
        members.append((sending.trace[0].removeprefix("ce_"), string(rng, sending.trace[1])))
    elif sending.trace is not None:
        headers.append(sending.trace)
    rng.shuffle(members)
    space = rng.choice(("", " ", "\n"))
    text = "{" + ",".join(f'{space}"{name}":{space}{value}' for name, value in members) + "}"
    return _record(sending, text.encode("utf-8"), headers)


def broken(rng: Random, sending: Sending) -> Record:
    """The event with its data cut short: nobody can read it."""
    return binary(rng, replace(sending, data=sending.data[:-2]))


def data_text(rng: Random, fields: dict[str, object], oddity: float = 0.3) -> str:
    """An event's data."""
    return object_text(rng, tuple(fields.items()), oddity)


def a_trace(rng: Random) -> tuple[str, str] | None:
    """Some events carry a trace, as a Kafka header or as an extension."""
    if rng.random() > 0.2:
        return None
    return (
        rng.choice(("traceparent", "ce_traceparent")),
        f"00-{rng.getrandbits(128):032x}-{rng.getrandbits(64):016x}-01",
    )


def time_text(rng: Random, at: datetime) -> str:
    """RFC 3339 in one of its spellings."""
    local = at.astimezone(timezone(timedelta(minutes=rng.choice(_OFFSETS))) if rng.random() < 0.4 else UTC)
    text = local.strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{at.microsecond:06}"
    if at.microsecond % 1000 == 0:
        fraction = fraction[:3]
    if at.microsecond == 0:
        fraction = rng.choice(("", "000"))
    if fraction and rng.random() < 0.1:
        fraction = fraction.ljust(6, "0") + f"{rng.randrange(1000):03}"  # nanoseconds, which are cut
    offset = local.strftime("%z")
    zone = "Z" if offset == "+0000" and rng.random() < 0.8 else f"{offset[:3]}:{offset[3:]}"
    text += (f".{fraction}" if fraction else "") + zone
    return text.lower() if rng.random() < 0.05 else text


def _and_trace(rng: Random, sending: Sending, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    if sending.trace is not None:
        headers = [*headers, sending.trace]
    if rng.random() < 0.1:
        headers = [*headers, ("x-sent-by", "a producer of its own kind")]
    return headers


def _record(sending: Sending, value: bytes, headers: list[tuple[str, str]]) -> Record:
    return Record(
        topic=sending.topic,
        partition=sending.partition,
        offset=-1,
        key=sending.key,
        value=value,
        headers=tuple((name, text.encode("utf-8")) for name, text in headers),
        at=sending.time,
    )
