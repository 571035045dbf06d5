"""What a shadow run found, on a screen or as JSON; and how far it is, while it works."""

import sys
from time import monotonic
from typing import Any

from relationship_worker.messages.orders import Answer
from relationship_worker.messages.times import write_time
from relationship_worker.views.screen import Page, print_json, visible, when
from relationship_worker.views.shadow import Example, Report

ON_A_TERMINAL, IN_A_FILE = 0.2, 5.0  # seconds between two lines that say how far it is


class ProgressLine:
    """On standard error: one line that is written over on a terminal, a line now and then in a file."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._every = ON_A_TERMINAL if self._terminal else IN_A_FILE
        self._began = self._last = monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Say it, if it is time to."""
        now = monotonic()
        if now - self._last < self._every and done < total:
            return
        self._last = now
        rate = done / max(now - self._began, 0.001)
        line = f"{done:,} of {total:,} records, {rate:,.0f}/s"
        print(f"\r{line:<60}" if self._terminal else line, end="" if self._terminal else "\n", file=sys.stderr)

    def end(self) -> None:
        """What follows begins on a line of its own."""
        if self._terminal:
            print(file=sys.stderr)


def show(report: Report, *, as_json: bool) -> None:
    """Print the report."""
    if as_json:
        print_json(_as_json(report))
    else:
        _print(report)


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "records": report.records,
        "compared": report.compared,
        "same": report.same,
        "other_reason": report.other_reason,
        "differ": report.differ.total(),
        "unanswered": report.unanswered,
        "told_again": report.told_again,
        "unreadable": report.unreadable,
        "by_rule": [
            {"supplier_id": supplier, "told_rule": told, "rule": rule, "orders": orders}
            for (supplier, told, rule), orders in sorted(report.differ.items())
        ],
        "examples": [
            {
                "supplier_id": one.supplier_id,
                "order_id": one.order_id,
                "customer_id": one.customer_id,
                "created_at": write_time(one.created_at),
                "told": _answer(one.told),
                "would_be": _answer(one.would_be),
            }
            for one in report.examples
        ],
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {"number": answer.number, "source": answer.source, "reason": answer.reason, "rule": answer.rule}


def _print(report: Report) -> None:
    page = Page()
    page.about(
        "orders",
        f"{report.records:,} records read, {report.compared:,} orders compared with what they were told last",
        f"{report.unanswered:,} not answered, {report.told_again:,} told again, {report.unreadable:,} unreadable",
    )
    page.about("same", f"{report.same:,}; and {report.other_reason:,} the same number by another rule or reason")
    page.about("differ", f"{report.differ.total():,}")
    if report.differ:
        page.line()
        rows = [
            [supplier, str(told), str(rule), f"{orders:,}"]
            for (supplier, told, rule), orders in sorted(report.differ.items())
        ]
        page.table({"supplier": 40, "rule told": 9, "would be": 9, "orders": 12}, rows)
        page.line()
        page.line(f"The first {len(report.examples)} by creation:")
        for one in report.examples:
            page.about("", *_lines(one))
    page.print()


def _lines(one: Example) -> tuple[str, str]:
    customer = one.customer_id or "a walk-in"
    told, would_be = (f"{a.number or 'null'} ({a.source}, rule {a.rule})" for a in (one.told, one.would_be))
    return f"{visible(one.order_id)} of {one.supplier_id}/{customer}, {when(one.created_at)}", f"  {told} → {would_be}"
