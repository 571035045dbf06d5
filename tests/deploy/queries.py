"""What a PromQL query asks for, held against the metrics that the worker has."""

from collections.abc import Iterator
from typing import Any

import promql_parser

from relationship_worker import metrics

SCRAPED = {"up": {"job", "instance"}}  # Prometheus makes it
OF_THE_SCRAPE = {"job", "instance"}  # labels that Prometheus puts onto everything


def samples() -> dict[str, set[str]]:
    """The labels of every sample on /metrics, by its name."""
    found = dict(SCRAPED)
    for collector in set(metrics.REGISTRY._names_to_collectors.values()):
        names = {name for name, one in metrics.REGISTRY._names_to_collectors.items() if one is collector}
        labels = set(getattr(collector, "_labelnames", ()))
        suffixes = [s for s in ("_bucket", "_total") if any(name.endswith(s) for name in names)]
        if suffixes and hasattr(collector, "_labelnames"):  # a histogram or a counter has no sample of its bare name
            names = {name for name in names if name.endswith((*suffixes, "_count", "_sum"))}
        for name in names:
            found[name] = labels | OF_THE_SCRAPE | ({"le"} if name.endswith("_bucket") else set())
    for family in metrics.REGISTRY.collect():  # the process's own figures are known once they are asked for
        for sample in family.samples:
            found.setdefault(sample.name, set(sample.labels) | OF_THE_SCRAPE)
    return found


def mistakes(query: str) -> list[str]:
    """What is wrong with a query; it does not even parse, or asks for what nobody tells."""
    try:
        parsed = promql_parser.parse(query)
    except ValueError as why:
        return [f"no PromQL: {why}"]
    known, wrong = samples(), []
    for selector in _selectors(parsed):
        if selector.name not in known:
            wrong.append(f"no metric: {selector.name}")
            continue
        wrong += [
            f"{selector.name} has no label {m.name}"
            for m in selector.matchers.matchers
            if m.name not in known[selector.name]
        ]
    for aggregate in _nodes(parsed, promql_parser.AggregateExpr):
        had = set().union(*(known.get(s.name, set()) for s in _selectors(aggregate.expr)))
        named = aggregate.modifier.labels if aggregate.modifier else []
        wrong += [f"nothing in it has the label {label}" for label in named if label not in had]
    return wrong


def _selectors(parsed: Any) -> list[Any]:
    direct = _nodes(parsed, promql_parser.VectorSelector)
    return [*direct, *(m.vector_selector for m in _nodes(parsed, promql_parser.MatrixSelector))]


def _nodes(parsed: Any, kind: type) -> list[Any]:
    return [node for node in _all(parsed) if isinstance(node, kind)]


def _all(node: Any) -> Iterator[Any]:
    yield node
    for name in ("lhs", "rhs", "expr"):
        if getattr(node, name, None) is not None:
            yield from _all(getattr(node, name))
    for argument in getattr(node, "args", ()):
        yield from _all(argument)
