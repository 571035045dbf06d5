"""Which sabotaged worker is seen in which play, as what; and the true worker, which comes through the same blows."""

from collections.abc import Callable
from dataclasses import dataclass

from system.differences import Kind
from system.sabotage import blows_from_within as blows
from system.sabotage import deeds_to_rules as rules
from system.sabotage import deeds_to_transactions as transactions

Deed = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Sabotage:
    """What is done to a worker before it runs, and as what the checker finds it: nothing, where it is a true worker."""

    deeds: tuple[Deed, ...]
    found_as: frozenset[Kind] = frozenset()
    workers: int = 1


def _found(*kinds: Kind, by: tuple[Deed, ...], workers: int = 1) -> Sabotage:
    return Sabotage(deeds=by, found_as=frozenset(kinds), workers=workers)


TRUE: dict[str, Sabotage] = {
    "true": Sabotage(deeds=(), workers=2),
    "true-dies-before-the-commit": Sabotage(deeds=(blows.dies_before_it_commits_orders,)),
    "true-dies-after-the-commit": Sabotage(deeds=(blows.dies_after_it_has_committed_orders,)),
    "true-dies-deciding": Sabotage(deeds=(blows.dies_while_it_decides,)),
    "true-slow": Sabotage(deeds=(blows.is_slow_to_decide,)),
    "true-stopped": Sabotage(deeds=(blows.stops_before_it_commits_orders,), workers=2),
    "true-late-end": Sabotage(deeds=(blows.ends_a_transaction_late,)),
}
SABOTAGED: dict[str, Sabotage] = {
    "positions-first": _found(Kind.LOST, by=(transactions.commit_positions_first,)),
    "positions-last": _found(Kind.DUPLICATE, by=(transactions.commit_positions_last,)),
    "no-fencing": _found(
        Kind.DUPLICATE,
        by=(transactions.take_a_transactional_id_of_its_own, blows.stops_before_it_commits_orders),
        workers=2,
    ),
    "producer-kept": _found(
        Kind.TORN,
        Kind.LOST,
        by=(transactions.keep_the_producer_after_a_doubt, blows.ends_a_transaction_late),
    ),
    "dead-letters-outside": _found(Kind.DEAD_LETTER_EXTRA, by=(transactions.tell_dead_letters_outside,)),
    "relay-by-id": _found(Kind.LOST, by=(transactions.number_messages_before_they_are_locked,)),
    "decisions-position-first": _found(Kind.LOST, by=(transactions.move_the_position_before_the_work,)),
    "corrections-twice": _found(Kind.DUPLICATE, by=(transactions.note_corrections_after_they_are_told,)),
    "barrier-swapped": _found(Kind.STALE, by=(rules.look_up_before_the_barrier, blows.is_slow_to_decide)),
    "by-customer-alone": _found(Kind.CROSS_TENANT, by=(rules.look_numbers_up_by_customer_alone,)),
    "newest-facts": _found(Kind.WRONG_VALUE, by=(rules.answer_by_the_newest_facts,)),
    "orders-written-anew": _found(Kind.BYTES_CHANGED, by=(rules.write_orders_anew,)),
    "answered-anew": _found(Kind.WRONG_VALUE, by=(rules.answer_a_further_event_anew,)),
    "no-inbox": _found(Kind.DUPLICATE, by=(rules.use_up_no_id,)),
    "reminder-without-lock": _found(Kind.REMINDER_DOUBLED, by=(rules.remind_without_a_lock,), workers=2),
    "reminder-of-the-decided": _found(Kind.REMINDER_VOID, by=(rules.remind_of_what_was_decided,)),
}
PLAYS = TRUE | SABOTAGED
IN_TESTS = (
    "true",
    "true-stopped",
    "true-late-end",
    *SABOTAGED,
)  # in the others a worker dies, as in any run with faults
