"""What the worker, those who read, and a supplier's own reader do in the database, by the worker's own functions."""

from collections.abc import Awaitable, Callable
from datetime import date

from builders import NOON
from relationship_worker.domain.supplier import BUILT_IN
from relationship_worker.messages.dead_letters import Place
from relationship_worker.messages.outgoing import Message
from relationship_worker.storage import (
    answers,
    corrections,
    dead_letter_acts,
    deferrals,
    facts,
    held_back,
    inbox,
    notes,
    outbox,
    overview,
    parked,
    periods,
    personal_data,
    positions,
    refusals,
    relationships,
    standing,
    stopped_partitions,
    suppliers,
)
from relationship_worker.storage.answer_rows import AnswerRows, known_facts
from relationship_worker.storage.database import ADMITS, Tx, check_schema_in, rows, run
from relationship_worker.storage.dead_letter_acts import Act, Done
from relationship_worker.storage.known_facts import KnownFacts
from relationship_worker.storage.parked import ParkedDecision
from relationship_worker.storage.stopped_partitions import StoppedPartition
from storage.test_answers import an_answer
from storage.test_held_back import an_input

Deed = Callable[[Tx], Awaitable[object]]
PAIR = ("s-1", "anna")
PLACE = Place(topic="orders", partition=0, offset=7)
VALUE = b'{"supplier_id": "s-1", "customer_id": "anna"}'


async def take_a_partition_over(tx: Tx) -> None:
    tenure, _ = await positions.take_over(tx, "connection-requests", 0, first=0)
    await positions.advance(tx, tenure, position=1)
    await positions.begin(tx, "orders", 0)
    await positions.applied(tx)


async def use_up_ids(tx: Tx) -> None:
    await inbox.use_up(tx, {b"e" * 16: b"d" * 8}, now=NOON)
    await inbox.give_back(tx, [b"e" * 16])


async def change_settings(tx: Tx) -> None:
    await suppliers.lock(tx, ["s-1"], to_change=True)
    await suppliers.remember_changes(tx, [], now=NOON)
    await deferrals.move(tx, "s-1", BUILT_IN)


async def decide(tx: Tx) -> None:
    await suppliers.lock(tx, ["s-1"])
    kept = await relationships.lock(tx, [PAIR])
    await relationships.remember(tx, kept)
    await relationships.remember_history(tx, [], now=NOON)
    await relationships.partners_by_number(tx, [("s-1", "00042")])
    await facts.remember_facts(tx, [])
    await refusals.remember(tx, [])
    await personal_data.erased_up_to(tx, [PAIR])
    await held_back.held(tx, [PAIR])


async def park(tx: Tx) -> None:
    await parked.park(tx, [a_parked_decision()])
    await parked.forget(tx, (await parked.parked_for(tx, [PAIR]))[PAIR])


async def remind(tx: Tx) -> None:
    await deferrals.remember(tx, [a_deferral()])
    await deferrals.due_of(tx, [PAIR], now=NOON)
    await deferrals.forget(tx, [PAIR])
    await notes.write_note(tx, notes.ZONE_RULES, "2026b")
    await notes.note(tx, notes.ZONE_RULES)


async def tell(tx: Tx) -> None:
    await outbox.post_in(tx, 0, [a_message("reminders")])
    await outbox.next_messages(tx, 0, after=0, limit=10)
    await outbox.forget(tx, 0, up_to=1)
    await outbox.last_numbers(tx)


async def answer_many(tx: Tx) -> None:
    await KnownFacts().look(tx)
    period = await periods.enter(tx)
    facts_of_it = known_facts("s-1", None, None, 0, 0, is_open=False)
    of_event = (b"k" * 16, b"h" * 8, 0, NOON, None)
    row = AnswerRows(partition=0, period=period.now, now=NOON).row(facts_of_it, of_event, b"o-many", b"{", b"", b"}")
    await answers.remember_new(tx, [row], [b"k" * 16], [("s-1", "o-many")], period=period)


async def answer_a_few(tx: Tx) -> None:
    known = KnownFacts()
    await known.look(tx)
    assert known.seen is not None
    [row] = await rows(
        tx,
        """SELECT answer_at_once(CAST(CAST(:seen AS text) AS pg_snapshot), :server, '{}', '{}', '{}', now(), 0, '{}', '{}',
                                 '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}') AS done""",
        {"seen": known.seen.snapshot, "server": known.seen.server},
    )
    assert row.done == "remembered"


async def answer_again(tx: Tx) -> None:
    period = await periods.enter(tx)
    await answers.remember_first(tx, [an_answer(1)], period=period, now=NOON)
    await answers.remember_repeated(tx, [an_answer(2)], period=period, now=NOON)
    await answers.told_last(tx, [("s-1", "o-1")])


async def correct(tx: Tx) -> None:
    await periods.enter(tx)
    await answers.remember_first(tx, [an_answer(1)], period=await periods.enter(tx), now=NOON)
    [given] = await rows(
        tx,
        """UPDATE answers SET corrected = NULL WHERE order_id = 'o-1'
           RETURNING supplier_id, order_id, customer_id, event_key, record_key, partition, created_at, channel, knew_version,
                     knew_change, open, answer AS told""",
    )
    cause = facts.Cause(b"c" * 16, "e-1", "/test")
    one = corrections.Correction(given=facts.Given(**given._mapping), previous="{}", answer="{}", cause=cause)
    await corrections.remember(tx, [one], now=NOON)
    await corrections.waiting(tx, 0, after=0, limit=10)
    await corrections.bounds(tx, 0)
    await corrections.told(tx, 0, up_to=1)


async def follow_facts_up(tx: Tx) -> None:
    await facts.facts_to_look_at(tx, limit=10)
    await facts.oldest_running(tx)
    await facts.versions_known(tx, [PAIR])
    await facts.keep_open(tx, {("s-1", "o-1"): False})
    fact = facts.Fact(
        supplier_id="s-1", customer_id="anna", version=1, change=0, valid_from=NOON, cause=facts.Cause(b"", "", "")
    )
    await facts.looked_up_to(tx, fact, "o-1")
    await facts.looked_at(tx, [fact])


async def erase(tx: Tx) -> None:
    await relationships.lock(tx, [PAIR])
    await deferrals.remember(tx, [a_deferral()])
    await parked.park(tx, [a_parked_decision()])
    await held_back.hold(tx, an_input(1, PAIR, value=VALUE), now=NOON)
    await dead_letter_acts.note(tx, [an_act()])
    await outbox.post_in(tx, 0, [a_message("dead-letters")])
    await personal_data.erase(tx, "anna", None, up_to=NOON, event_id="e-1", event_source="/test", now=NOON)


async def hold_back_and_let_go(tx: Tx) -> None:
    await held_back.hold(tx, an_input(1, PAIR), now=NOON)
    await held_back.keep(tx, [an_input(2, PAIR)], now=NOON)
    await held_back.next_to_go_on(tx)
    [first, second] = await held_back.next_inputs(tx, PAIR, limit=10, most_bytes=100)
    await held_back.ask_for_replay(tx, PAIR, first.place, by="anna", why=None)
    await held_back.hold_by_next(tx, second, now=NOON)
    await held_back.forget(tx, [first])
    await held_back.let_go(tx, PAIR)


async def act_on_dead_letters(tx: Tx) -> None:
    await dead_letter_acts.lock(tx)
    await dead_letter_acts.note(tx, [an_act()])
    await dead_letter_acts.acts_on(tx, [PLACE])


async def stop_a_partition(tx: Tx) -> None:
    await stopped_partitions.stop(tx, StoppedPartition(topic="orders", partition=0, since=NOON, bad=150, of=200))
    await stopped_partitions.stopped(tx)
    await stopped_partitions.go_on(tx, "orders", 0)


async def look_after_periods(tx: Tx) -> None:
    await run(tx, "SELECT make_period(period_of(period_clock()) + 1)")
    await run(tx, "SELECT remove_part('inbox', period_of(period_clock()) - 5)")


async def survey(tx: Tx) -> None:
    await standing.waiting(tx)
    await standing.open_requests(tx)
    await standing.parked(tx)


async def explain_an_order(tx: Tx) -> None:
    await answers.stored(tx, "s-1", "o-1")
    await answers.repeats_of(tx, "s-1", "o-1")
    await corrections.made_for(tx, ("s-1", "o-1"))
    await facts.facts_wait_for(tx, "s-1", "anna")
    await suppliers.changes_of(tx, "s-1")
    await relationships.history_of(tx, PAIR)


async def show_relationships(tx: Tx) -> None:
    await overview.relationship(tx, PAIR)
    await suppliers.newest_settings(tx, "s-1")
    await refusals.newest_of(tx, PAIR, limit=10)
    await parked.count_for(tx, PAIR)
    await held_back.of_relationship(tx, PAIR)


async def read_whose_own(tx: Tx) -> None:
    await rows(tx, "SELECT supplier_id FROM supplier_readers")


async def list_dead_letters(tx: Tx) -> None:
    await dead_letter_acts.acts_on(tx, [PLACE])
    await held_back.all_holds(tx, since=NOON, limit=10)
    await stopped_partitions.stopped(tx)
    await outbox.next_messages(tx, outbox.REPLAYS, after=0, limit=10)


async def ask_whom_the_schema_admits(tx: Tx) -> None:
    """As a view does on the schema of a later release."""
    await rows(tx, "SELECT text FROM notes WHERE name = :name", {"name": ADMITS})


READ: list[Deed] = [check_schema_in, ask_whom_the_schema_admits, explain_an_order, show_relationships]
DEEDS: dict[str, list[Deed]] = {
    "worker": [
        *READ,
        take_a_partition_over,
        use_up_ids,
        change_settings,
        decide,
        park,
        remind,
        tell,
        answer_many,
        answer_a_few,
        answer_again,
        correct,
        follow_facts_up,
        erase,
        hold_back_and_let_go,
        act_on_dead_letters,
        stop_a_partition,
        look_after_periods,
        survey,
    ],
    "reader": [*READ, list_dead_letters],
    "supplier": [*READ, read_whose_own],
}


def a_parked_decision() -> ParkedDecision:
    return ParkedDecision(
        pair=PAIR,
        arrived_at=NOON,
        event_key=b"e" * 16,
        topic="relationship-decisions",
        partition=0,
        offset=1,
        key=None,
        value=VALUE,
        headers=[],
    )


def a_deferral() -> deferrals.Deferral:
    return deferrals.Deferral(
        pair=PAIR,
        version=2,
        due_on=date(2026, 3, 2),
        due_at=NOON,
        deferred_at=NOON,
        reason=None,
        event_key=b"e" * 16,
        event_id="e-1",
        event_source="/test",
        trace=[],
    )


def a_message(topic: str) -> Message:
    return Message(topic, b"s-1/anna", b'{"customer_id": "anna"}', [("ce_type", b"x")], 0)


def an_act() -> Done:
    value = b'{"customer_id":"anna"}'
    return Done(place=PLACE, letter_at=NOON, act=Act.EDITED, at=NOON, by="anna", why=None, value=value, headers=[])
