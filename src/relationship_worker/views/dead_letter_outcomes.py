"""What came, or would come, of acting on dead letters, on a screen and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from relationship_worker.messages.dead_letters import Place
from relationship_worker.storage.dead_letter_cases import Case
from relationship_worker.views.screen import Page, print_json


@dataclass(kw_only=True)
class Outcome:
    """Of a replay. `finished`: sent now because a command before was ended in the middle of it."""

    finished: int = 0
    sent: list[Place] = field(default_factory=list)
    by_the_worker: list[Place] = field(default_factory=list)
    failed: dict[Place, str] = field(default_factory=dict)
    left: int = 0  # because the first ones did not go through
    unwatched: int = 0  # of those that were sent: nobody waited for what came of them
    dealt_with: list[Place] = field(default_factory=list)  # asked for by name, and replayed or discarded before

    @property
    def all_through(self) -> bool:
        """As far as is known."""
        return not self.failed and not self.left


def show_replayed(outcome: Outcome, *, as_json: bool) -> None:
    """Print what came of a replay."""
    if as_json:
        print_json(
            {
                "finished": outcome.finished,
                "sent": [str(place) for place in outcome.sent],
                "by_the_worker": [str(place) for place in outcome.by_the_worker],
                "failed": [{"id": str(place), "why": why} for place, why in outcome.failed.items()],
                "left": outcome.left,
                "unwatched": outcome.unwatched,
                "dealt_with": [str(place) for place in outcome.dealt_with],
            }
        )
        return
    page = Page()
    if outcome.finished:
        page.line(f"{outcome.finished:,} sent that were begun before")
    page.line(f"{len(outcome.sent):,} sent back to where they came from")
    if outcome.unwatched:
        page.line("what fails again is a new dead letter: see `dead-letters list` in a moment (--canary waits for it)")
    for place in outcome.dealt_with:
        page.line(f"{place} was dealt with before: nothing was sent (`dead-letters show {place}` says by whom)")
    if outcome.by_the_worker:
        page.line(f"{len(outcome.by_the_worker):,} replayed by the worker: what they held back follows")
    if outcome.failed:
        page.line(f"{len(outcome.failed):,} did not go through:")
    for place, why in outcome.failed.items():
        page.line(f"  {place}: {why}")
    if outcome.left:
        page.line(f"{outcome.left:,} left alone, because the first did not go through")
    page.print()


def show_discarded(gone: Sequence[Place], *, as_json: bool) -> None:
    """Print which letters were given up."""
    if as_json:
        print_json({"discarded": [str(place) for place in gone]})
        return
    page = Page()
    page.line(f"{len(gone):,} discarded")
    page.print()


def show_going_on(partition: str, *, as_json: bool) -> None:
    """Print that a partition may go on."""
    if as_json:
        print_json({"goes_on": partition})
        return
    page = Page()
    page.line(f"{partition} goes on within 30 seconds")
    page.print()


def show_edited(case: Case, would: dict[str, Any], *, as_json: bool) -> None:
    """Print what an edited letter would make."""
    if as_json:
        print_json({"id": str(case.place), "state": case.state, "would": would})
        return
    page = Page()
    page.line(f"edited {case.place}; replayed, it would be:")
    page.about("", *_would_lines(would))
    page.print()


def show_dry_run(tried: Sequence[tuple[Case, dict[str, Any]]], *, as_json: bool) -> None:
    """Print what a replay would make, letter by letter."""
    if as_json:
        print_json({"would": [{"id": str(case.place), **would} for case, would in tried]})
        return
    page = Page()
    for case, would in tried:
        page.line(str(case.place))
        page.about("", *_would_lines(would))
    page.line(f"{len(tried):,} letters; nothing was changed")
    page.print()


def _would_lines(would: dict[str, Any]) -> list[str]:
    about = [f"{name.removesuffix('_id')} {would[name]}" for name in _NAMES if would.get(name)]
    lines = [", ".join([would["outcome"], *about])]
    if "why" in would:
        lines.append(would["why"])
    if "answer" in would:
        answer = would["answer"]
        lines.append(f"number {answer['number'] or 'null'} ({answer['source']}, rule {answer['rule']})")
    if would.get("before") is not None:
        before, after = would["before"], would["after"]
        lines += [
            f"{name}: {_said(before[name])} → {_said(after[name])}" for name in after if before[name] != after[name]
        ]
        lines.append(f"tells {', '.join(would['events']) or 'nothing'}")
    if would.get("behind"):
        lines.append(f"then {would['behind']} inputs follow")
    return lines


_NAMES = ("supplier_id", "customer_id", "order_id")


def _said(value: Any) -> str:
    return "null" if value is None else str(value)
