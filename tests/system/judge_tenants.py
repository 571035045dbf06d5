"""Tenants apart, without the model: a number says whose it is, and so does whatever carries it."""

from collections.abc import Iterable, Iterator, Mapping

from system.differences import Difference, Kind
from system.parties import owner
from system.told import Told


def judge_tenants(suppliers: Mapping[str, int], outputs: Iterable[Told]) -> list[Difference]:
    """Hold the supplier that an output names against the suppliers whose numbers it carries."""
    differences = []
    for told in outputs:
        named = {told.data.get("supplier_id"), told.record.header("ce_supplierid")} - {None}
        index = {suppliers.get(str(supplier_id)) for supplier_id in named}
        foreign = [number for number in _numbers(told) if owner(number) is not None and index != {owner(number)}]
        if foreign:
            what = f"{told.place}: {', '.join(map(repr, foreign))} told to {', '.join(sorted(map(str, named)))}"
            differences.append(Difference(kind=Kind.CROSS_TENANT, what=what))
    return differences


def _numbers(told: Told) -> Iterator[str]:
    """Those of the answer and of the event, and the one by which a record is routed."""
    for name in ("customer_number", "previous"):
        found = told.data.get(name)
        number = found.get("number") if isinstance(found, dict) else found
        if isinstance(number, str):
            yield number
    routed_by = told.record.header("ce_customernumber")
    if routed_by is not None:
        yield routed_by
