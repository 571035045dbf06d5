"""Personal data is removed on demand; numbers and decisions stay."""

from builders import NOON, a_version
from relationship_worker.domain.relationship import Relationship, State
from relationship_worker.storage.database import rows, transaction
from relationship_worker.storage.personal_data import erase
from relationship_worker.storage.relationships import HistoryRow, Kept, lock, remember, remember_history

PROFILE = '{"company_name":"Müller","contacts":[{"name":"A"}], "\\u0063ontacts":[{"name":"B"}],"rating": 2.10 }'
PAIRS = [("s-1", "c-1"), ("s-2", "c-1"), ("s-1", "c-2")]


async def with_three_partners(database):
    partner = Kept(
        relationship=Relationship(state=State.PARTNER, version=1, valid_from=NOON, customer_number="4711"),
        profile=PROFILE,
        profile_at=NOON,
    )
    async with transaction(database) as tx:
        await lock(tx, PAIRS)
        await remember(tx, dict.fromkeys(PAIRS, partner))
        await remember_history(
            tx,
            [
                HistoryRow(
                    pair=pair,
                    type="relationship.accepted",
                    version=a_version(1, number="4711", reason="Frau A rief an"),
                    message="Grüße, A",
                    settings_change=0,
                    event_id="e-1",
                    event_source="/",
                )
                for pair in PAIRS
            ],
            now=NOON,
        )


async def erased(database, customer, supplier):
    async with transaction(database) as tx:
        await erase(tx, customer, supplier)


async def profiles(database):
    async with transaction(database) as tx:
        found = await rows(tx, "SELECT supplier_id, customer_id, profile FROM relationships")
    return {(row.supplier_id, row.customer_id): row.profile for row in found}


async def free_texts(database):
    async with transaction(database) as tx:
        found = await rows(tx, "SELECT supplier_id, customer_id, reason, message FROM relationship_history")
    return {(row.supplier_id, row.customer_id): (row.reason, row.message) for row in found}


async def test_contacts_go_and_the_rest_of_the_profile_stays_as_it_was_told(database):
    await with_three_partners(database)

    await erased(database, "c-1", "s-1")

    assert await profiles(database) == {
        ("s-1", "c-1"): '{"company_name":"Müller","rating":2.10}',
        ("s-2", "c-1"): PROFILE,
        ("s-1", "c-2"): PROFILE,
    }


async def test_an_erasure_without_a_supplier_is_of_all(database):
    await with_three_partners(database)

    await erased(database, "c-1", None)

    assert "contacts" not in (await profiles(database))["s-1", "c-1"]
    assert "contacts" not in (await profiles(database))["s-2", "c-1"]
    assert (await profiles(database))["s-1", "c-2"] == PROFILE


async def test_free_texts_go_from_the_history(database):
    await with_three_partners(database)

    await erased(database, "c-1", "s-1")

    assert await free_texts(database) == {
        ("s-1", "c-1"): (None, None),
        ("s-2", "c-1"): ("Frau A rief an", "Grüße, A"),
        ("s-1", "c-2"): ("Frau A rief an", "Grüße, A"),
    }


async def test_numbers_and_decisions_stay(database):
    await with_three_partners(database)

    await erased(database, "c-1", None)

    async with transaction(database) as tx:
        found = await lock(tx, [("s-1", "c-1")])
        [history] = await rows(
            tx,
            """SELECT customer_number, state, decided_by FROM relationship_history
               WHERE supplier_id = 's-1' AND customer_id = 'c-1'""",
        )
    assert found["s-1", "c-1"].relationship.customer_number == "4711"
    assert (history.customer_number, history.state, history.decided_by) == ("4711", "partner", "j.meier")


async def test_erasing_whom_nobody_knows_changes_nothing(database):
    await with_three_partners(database)

    await erased(database, "c-9", None)
    await erased(database, "c-2", "s-2")

    assert set((await profiles(database)).values()) == {PROFILE}
