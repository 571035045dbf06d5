"""Curated bad input: what is known to break readers, put wherever a record has room for it."""

import json
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from model.records import DECISIONS, ORDERS, REQUESTS
from system.plan import partition_of
from system.worlds import Draft, a_draft

DATA = Path(__file__).parents[1] / "data"  # see NOTICE there

_FIELDS = {
    ORDERS: ("order_id", "supplier_id", "customer_id", "channel", "created_at", "note"),
    DECISIONS: ("supplier_id", "customer_id", "customer_number", "reason", "decided_by"),
    REQUESTS: ("supplier_id", "customer_id", "message"),
}
_ATTRIBUTES = ("ce_id", "ce_source", "ce_type", "ce_specversion", "ce_time", "content-type")
_TEXTS = (
    None, b"", b" ", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\xaf", b"null", b"1.0 ", b"1", b"0.3", b"2.0",
    b"text/plain", b"application/json;charset=utf-16", b"APPLICATION/JSON", b"application/cloudevents",
    b"application/cloudevents+json;x=y", b"application/cloudevents-batch+json", b"application/cloudevents+avro",
    b"1970-01-01T00:00:00Z", b"1999-12-31T23:59:59.999999999Z", b"2199-12-31T23:59:59Z", b"2200-01-01T00:00:00Z",
    b"9999-12-31T23:59:59Z", b"10000-01-01T00:00:00Z", b"2026-02-29T00:00:00Z", b"2026-01-01T00:00:00", b"2026-01-01",
    b"2026-01-01T24:00:00Z", b"2026-01-01T00:00:60Z", b"2026-01-01t00:00:00z", b"2026-01-01T00:00:00+24:00",
    b"1767225600", b"a" * 5_000, "Ü".encode() * 3_000, b"'; DROP TABLE answers; --", b"${jndi:ldap://x}", b"%00", b"../..",
)  # fmt: skip


@cache
def naughty_strings() -> list[str]:
    """The big list of naughty strings."""
    found: list[str] = json.loads((DATA / "naughty-strings.json").read_bytes())
    return found


@cache
def json_texts(archive: str) -> dict[str, bytes]:
    """The texts of a JSON test suite."""
    with tarfile.open(DATA / archive) as tar:
        files = [member for member in tar if member.name.endswith(".json")]
        return {Path(file.name).stem: tar.extractfile(file).read() for file in files}  # type: ignore[union-attr]


def hostile_records() -> Iterator[Draft]:
    """All of them, some 3,000; each in a world of its own."""
    for number, text in enumerate(naughty_strings()):
        topic = (ORDERS, DECISIONS, REQUESTS)[number % 3]
        fields = _FIELDS[topic]
        draft = a_draft(topic)
        draft.data[fields[number // 3 % len(fields)]] = text
        yield draft.sealed()
        named = a_draft(topic).sealed()
        yield _with_header(named, _ATTRIBUTES[number % 2], text.encode("utf-8", "surrogatepass"))  # id, or source
        keyed = a_draft(topic).sealed()
        keyed.key = text.encode("utf-8", "surrogatepass")
        keyed.partition = partition_of(keyed.key)
        keyed.headers.append((text.encode("utf-8", "replace").decode(), text.encode("utf-8", "surrogatepass")))
        yield keyed
    for name, text in {**json_texts("json-test-suite.tar.gz"), **json_texts("json-test-transform.tar.gz")}.items():
        for topic in (ORDERS, DECISIONS, REQUESTS):
            whole = a_draft(topic).sealed()
            whole.value = text
            yield whole
            if name.startswith(_UNDECIDED):
                continue
            within = a_draft(topic).sealed()
            within.value = (within.value or b"")[:-1] + b',"x_hostile":' + text + b"}"
            yield within
    for topic in (ORDERS, DECISIONS, REQUESTS):
        for name in _ATTRIBUTES:
            for text in _TEXTS:
                yield _with_header(a_draft(topic).sealed(), name, text)
            for change in (_without, _twice, _twice_and_null, _in_another_case):
                draft = a_draft(topic).sealed()
                draft.headers = change(draft.headers, name)
                yield draft


_UNDECIDED = ("i_",)  # a parser may take it or not
_Headers = list[tuple[str, bytes | None]]


def _with_header(draft: Draft, name: str, text: bytes | None) -> Draft:
    draft.headers = [(header, text if header == name else value) for header, value in draft.headers]
    if name == "ce_id":
        draft.partition = partition_of(text or b"")  # some come twice: of events with one id the first counts
    return draft


def _without(headers: _Headers, name: str) -> _Headers:
    return [pair for pair in headers if pair[0] != name]


def _twice(headers: _Headers, name: str) -> _Headers:
    return [*headers, (name, dict(headers)[name])]


def _twice_and_null(headers: _Headers, name: str) -> _Headers:
    return [(name, None), *headers]


def _in_another_case(headers: _Headers, name: str) -> _Headers:
    return [
        (header.upper() if header == name and header != "content-type" else header, value) for header, value in headers
    ]
