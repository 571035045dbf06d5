"""The model tells what the published vectors of corrections say: both were written from the same page."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from model.builders import Told
from model.records import Answer, Correction, Outcome
from model.times import read_time

_VECTORS = json.loads((Path(__file__).parents[2] / "contracts" / "corrections.json").read_text("utf-8"))["vectors"]


@pytest.mark.parametrize("vector", _VECTORS, ids=[vector["name"] for vector in _VECTORS])
def test_the_model_tells_what_the_published_vectors_say(vector: Mapping[str, Any]) -> None:
    given = vector["given"]
    desk = Told()
    order = given["order"] | {"supplier_id": "s", "customer_id": given["order"]["customer_id"] and "c"}
    for fact in given["facts"][: given["answer_knew"]]:
        become_known(desk, fact)

    answer = desk.order(order.pop("created_at").removesuffix("Z"), **order).answer
    told = []
    for number, fact in enumerate(given["facts"][given["answer_knew"] :], start=given["answer_knew"] + 1):
        told += [(number, one.answer) for one in become_known(desk, fact) if isinstance(one, Correction)]

    assert answer == an_answer(vector["answer"])
    assert told == [(one["fact"], an_answer(one["answer"])) for one in vector["corrections"]]


def become_known(desk: Told, fact: Mapping[str, Any]) -> list[Outcome]:
    """The event that brings a version or a change of settings."""
    said = dict(fact.get("settings") or fact["relationship"])
    at = said.pop("valid_from").removesuffix("Z")
    if "settings" in fact:
        return desk.settings(at, **said)
    was_partner = desk.model.relationship("s", "c").state == "partner"
    number = said["customer_number"]
    match said["state"]:
        case "requested":
            return desk.request(at)
        case "rejected":
            return desk.reject(at)
        case "ended":
            return desk.end(at)
        case _ if was_partner:
            return desk.number(at, number)
        case _:
            return desk.accept(at, number if said["brings_number"] else None)


def an_answer(told: Mapping[str, Any]) -> Answer:
    """An ANSWER as the model has it."""
    as_of = read_time(told["as_of"])
    assert as_of is not None
    return Answer(**{**told, "as_of": as_of, "flags": frozenset(told["flags"])})
