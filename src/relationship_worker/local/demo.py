"""The command `relationship-worker demo`: real input through a real Kafka and a real PostgreSQL, and what came of it."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from time import monotonic

from relationship_worker.local.demo_orders import LAST_ORDER, Play, PlayedOrder, many, play, span_of_history, utc_now
from relationship_worker.local.demo_outcome import MISSING, Check, Outcome, check, to_be_corrected
from relationship_worker.local.demo_screen import Screen
from relationship_worker.local.demo_stage import Stage, Worker, opened_stage
from relationship_worker.local.demo_story import NORTH, SOUTH, Story, tell_story
from relationship_worker.local.demo_traffic import DemoFailed, StillWaiting, Traffic
from relationship_worker.local.processes import StackUnavailable

MANY = 20_000  # orders for the rate: some seconds' work
FAILED = 1  # exit code
INTERRUPTED = 130  # exit code, as shells have it


def demo(*, keep: bool) -> None:
    """Play, show, end with 0; with 1 and one line where something fails or did not come out as it must."""
    for out in (sys.stdout, sys.stderr):
        if hasattr(out, "reconfigure"):
            out.reconfigure(errors="replace")  # a terminal that can't show an umlaut is no reason to end
    try:
        _demo(Screen(), keep=keep)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except (DemoFailed, StackUnavailable) as why:
        _fail(str(why))
    except Exception as why:
        _fail(f"{type(why).__name__}: {why}")


def _fail(line: str) -> None:
    print(f"relationship-worker: the demo failed: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(FAILED)


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How fast the many orders went, from the first one sent to the last one read."""

    orders: int
    bytes: int
    seconds: float


def _demo(screen: Screen, *, keep: bool) -> None:
    began = monotonic()
    screen.line("relationship-worker demo: real input through a real Kafka and PostgreSQL", "bold")
    screen.line()
    with screen.opened(opened_stage(screen.progress), "starting Kafka and PostgreSQL", _describe) as stage:
        with screen.step("making schema and topics") as done:
            done.append(f"init: the schema and {stage.init()} topics are made")
        worker = Worker(stage)
        try:
            with screen.step("starting the worker") as done:
                worker.start()
                done += ["run: the worker is up, a process of its own", f"its log: {worker.log}"]
            now = utc_now()
            story = tell_story(now - LAST_ORDER - span_of_history(), now)
            played = play(story)
            more = list(many(story, MANY, played.history))
            outcome, rate = asyncio.run(_play(screen, stage, worker, story, played, more))
            _show(screen, outcome, rate, check(outcome, story, played, more), story, played)
            _ask(screen, stage, outcome)
            _show_where_to_look(screen, stage, keep=keep)
            seconds = monotonic() - began
            if keep:
                _wait_for_interrupt()
        finally:
            code = worker.end()
        if code != 0:
            raise DemoFailed(f"the worker ended with exit code {code} after SIGTERM; its log: {worker.log}")
        screen.line()
        screen.line(f"The worker has finished what was in hand and ended with 0. The demo took {seconds:.0f} s.")


async def _play(
    screen: Screen, stage: Stage, worker: Worker, story: Story, played: Play, more: list[PlayedOrder]
) -> tuple[Outcome, Rate]:
    async with Traffic(stage.kafka, worker.check) as traffic:
        await _play_relationships(screen, traffic, story)
        await _play_orders(screen, traffic, story, played)
        rate = await _play_many(screen, traffic, more)
        await _play_late_default(screen, traffic, story, [*played.orders, *more])
        with screen.step("reading the output topics to their ends") as done:
            outcome = await _read_outcome(traffic, stage, story, played)
            records = len(traffic.records) + len(traffic.rate) + len(traffic.corrections)
            done.append(f"{records:,} records read back from the 4 output topics")
        return outcome, rate


async def _play_relationships(screen: Screen, traffic: Traffic, story: Story) -> None:
    """In rounds: what lies on two topics has no order between them."""
    with screen.step("settings") as done:
        count = await traffic.send(story.settings), await traffic.send(story.too_early)
        await traffic.until_done()
        done.append(f"{count[0]} suppliers settle in; {count[1]} accepts a customer before it has asked")
    with screen.step("customers ask") as done:
        await traffic.send(story.requests)
        await traffic.until_done()
        asked = story.made["relationship.requested"]
        done.append(f"{asked} customers ask (profiles of real companies), 1 withdraws")
    with screen.step("suppliers decide") as done:
        count_ = await traffic.send(story.decisions)
        await traffic.until_done()
        made = Counter(sent.made for sent in story.decisions)
        done.append(f"{count_} decisions and numbers from the suppliers")
        done.append(
            f"{made['relationship.accepted']} accept, {made['relationship.rejected']} reject, "
            f"{made['relationship.deferred']} defer; {made['relationship.decision-refused']} to be refused, "
            "1 unreadable, 1 told twice"
        )


async def _play_orders(screen: Screen, traffic: Traffic, story: Story, played: Play) -> None:
    with screen.step("orders") as done:
        count = await traffic.send(order.sent for order in (*played.history, *played.documents))
        await traffic.until_done()
        cancelled = sum(order.kind == "cancellation" for order in played.history)
        walk_ins = sum(order.customer is None for order in played.history)
        largest = max(len(order.sent.value) for order in played.history)
        done.append(f"{count} orders: {len(played.history)} out of a real history, {len(played.documents)} documents")
        done.append(f"{walk_ins} walk-ins, {cancelled} cancellations; up to {largest:,} bytes")
    with screen.step("a number and its order") as done:
        # Nobody waits in between: the worker itself has to see the number before it answers the order.
        await traffic.send([*story.at_the_last_moment, played.hasty.sent])
        await traffic.until_done()
        done.append("a number changes, and an order of that second follows at once")
    with screen.step("repetitions") as done:
        again = [order.sent for order in played.told_again]
        await traffic.send([*played.repeated, *again, *played.unreadable])
        await traffic.until_done()
        done.append(f"{len(played.repeated)} events a second time, byte for byte")
        done.append(
            f"{len(again)} orders again by another event; {len(played.unreadable)} records that nobody can believe"
        )


async def _play_many(screen: Screen, traffic: Traffic, more: list[PlayedOrder]) -> Rate:
    with screen.step(f"{len(more):,} more orders") as done:
        send = await traffic.pack(more)
        began = monotonic()
        sending: asyncio.Task[None] = asyncio.create_task(send())
        await traffic.until(f"{len(more):,} orders to come out", lambda: len(traffic.rate) >= len(more))
        seconds = monotonic() - began
        await sending
        done.append(f"{len(more):,} more orders, to see how fast it is")
    return Rate(orders=len(more), bytes=sum(len(order.sent.value) for order in more), seconds=seconds)


async def _play_late_default(screen: Screen, traffic: Traffic, story: Story, orders: list[PlayedOrder]) -> None:
    due = len(to_be_corrected(story, orders))
    with screen.step("a default number, late") as done:
        await traffic.send(story.in_the_end)
        await traffic.until(f"{due:,} orders to be corrected", lambda: len(traffic.corrections) >= due)
        done.append(f"supplier {SOUTH} names a default number: {due:,} orders are corrected")
        done.append("those of the last 72 hours that went out without any; older ones stay")


async def _read_outcome(traffic: Traffic, stage: Stage, story: Story, played: Play) -> Outcome:
    """Everything that had to come; and then to the ends, for what had not."""
    await traffic.until_done()
    told = story.made.total() + len(played.unreadable)
    due = {"orders": len(played.answered), "events and dead letters": told, "reminders": len(story.reminders)}

    def missing() -> list[str]:
        outcome = Outcome(traffic.records, traffic.rate, traffic.corrections, stage.kafka.plain)
        events = [event for event in outcome.events if event.type != MISSING]
        found = (len(outcome.enriched), len(events) + len(outcome.dead_letters), len(outcome.reminders))
        return [f"{there} of {due[name]} {name}" for name, there in zip(due, found, strict=True) if there < due[name]]

    with contextlib.suppress(StillWaiting):
        await traffic.until("all outputs to arrive", lambda: not missing())
    await traffic.until_all_is_read()
    return Outcome(traffic.records, traffic.rate, traffic.corrections, stage.kafka.plain)


def _show(screen: Screen, outcome: Outcome, rate: Rate, checks: list[Check], story: Story, played: Play) -> None:
    """Raises DemoFailed where something is not as it must be; it is shown all the same."""
    screen.results(outcome, story, played)
    screen.checks(checks)
    _show_rate(screen, rate)
    failed = [one.text for one in checks if not one.holds]
    if failed:
        raise DemoFailed(f"{len(failed)} of {len(checks)} counts are not as they must be: {'; '.join(failed)}")


def _show_rate(screen: Screen, rate: Rate) -> None:
    screen.heading("How fast")
    screen.line(
        f"{rate.orders:,} orders of {rate.bytes // rate.orders:,} bytes on average in {rate.seconds:.1f} s: "
        f"{rate.orders / rate.seconds:,.0f} orders/s"
    )
    screen.note(
        f"from the first one sent to the last one read: one worker, and {os.cpu_count()} cores that it shares with "
        "Kafka, PostgreSQL, this demo and its reader. `make bench` measures the worker alone."
    )


def _ask(screen: Screen, stage: Stage, outcome: Outcome) -> None:
    """What a desk would ask: why an order carries its number, and what is to be decided."""
    corrected = next(
        one.data["order_id"] for one in outcome.corrections if one.data["order_id"] in outcome.first_answers
    )
    for about, command in (
        ("Why does this order carry that number?", ["explain", "--supplier", SOUTH, corrected]),
        ("What is to be decided?", ["relationships", "--supplier", NORTH, "--limit", "5"]),
    ):
        screen.heading(about)
        screen.line(f"$ relationship-worker {' '.join(command)}")
        for line in stage.asked(*command).splitlines():
            screen.line(line, "dim")


def _show_where_to_look(screen: Screen, stage: Stage, *, keep: bool) -> None:
    screen.heading("Where to look next")
    if keep:
        screen.line("The stack and the worker stay up until Ctrl-C. In another terminal:")
        for name, value in stage.shown.items():
            screen.line(f"export {name}={value}")
        screen.line(
            f"kcat -C -b {stage.kafka.bootstrap_servers} -t {stage.kafka.topic('enriched-orders')} \\\n"
            "  -X isolation.level=read_committed -f '%h\\n%s\\n'\n"
        )
    for what, where in (
        ("README.md", "what it promises, its limits, its settings"),
        ("contracts/", "events with schemas and examples; the rules"),
        ("make test", "everything, on a real Kafka and PostgreSQL"),
        ("relationship-worker local", "a stack to play with, and what to export"),
        ("relationship-worker demo --keep", "this, left up: read its topics with kcat"),
    ):
        if not (keep and what.endswith("--keep")):
            screen.line(f"  {what:<32}{where}")


def _wait_for_interrupt() -> None:
    over = threading.Event()
    for sent in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sent, lambda *_: over.set())
    over.wait()


def _describe(stage: Stage) -> list[str]:
    return ["Kafka and PostgreSQL are up", *list(stage.shown.values())[:2]]
