"""Personal data in what the worker keeps or tells: contacts and free texts. Everything else stays the bytes that it was."""

import json

from relationship_worker.messages import json_text
from relationship_worker.messages.envelope import Headers, is_structured

FREE_TEXTS = ("message", "reason")  # of requests and decisions: somebody wrote them by hand
CONTACTS = "contacts"


def profile_without_contacts(profile: bytes) -> bytes:
    """A profile (a JSON object) without its contacts."""
    return _without(profile, (CONTACTS,))


def data_without_personal_data(data: bytes) -> bytes:
    """An input's data (a JSON object) without free texts, and its profile without contacts. Raises NotJson, WrongShape."""
    members = json_text.members(data)
    kept = {name: raw for name, raw in members.items() if name not in (*FREE_TEXTS, CONTACTS)}
    if kept.get("profile", b"null") != b"null":
        try:
            kept["profile"] = profile_without_contacts(kept["profile"])
        except json_text.WrongShape:
            del kept["profile"]
    return _written(kept)


def record_without_personal_data(headers: Headers, value: bytes) -> bytes | None:
    """A record's value without personal data, in either mode; None where it can't be read, so that nothing is certain."""
    try:
        if not is_structured(headers):
            return data_without_personal_data(value)
        envelope = json_text.members(value)
        if "data" in envelope:
            envelope["data"] = data_without_personal_data(envelope["data"])
        envelope.pop("data_base64", None)
        return _written(envelope)
    except (json_text.NotJson, json_text.WrongShape):
        return None


def event_without_reason(value: bytes) -> bytes:
    """An event of the worker's own, whose reason is a free text, with null for it."""
    members = json_text.members(value)
    return _written({**members, "reason": b"null"})


def _without(text: bytes, names: tuple[str, ...]) -> bytes:
    return _written({name: raw for name, raw in json_text.members(text).items() if name not in names})


def _written(members: dict[str, bytes]) -> bytes:
    return b"{" + b",".join(json.dumps(name).encode() + b":" + raw for name, raw in members.items()) + b"}"
