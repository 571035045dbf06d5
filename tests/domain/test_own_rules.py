"""A supplier's own rules: which make sense, which one fires, and what a person may still say."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from builders import NOON, a_relationship, judged, minutes_after_noon, patient
from relationship_worker.domain.own_rules import (
    Accept,
    Asking,
    Defer,
    InvalidRules,
    NumberNotMade,
    Reject,
    Rule,
    VatId,
    countries,
    decide_by_rule,
    is_well_formed,
    read_rules,
)
from relationship_worker.domain.relationship import Changed, Judged, Kind, Refusal, Refused, State, after, decide
from relationship_worker.domain.supplier import BUILT_IN, InvalidSettings, Settings, changed

ACCEPT = {"accept": {}}


def a_rule(name: str = "a", then: object = ACCEPT, **conditions: object) -> dict[str, object]:
    return {"name": name, "when": conditions, "then": then}


def read(*rules: object, max_length: int = 20) -> tuple[Rule, ...]:
    return read_rules(list(rules), max_length=max_length)


def decided(*rules: object, customer: str = "c-1", at: datetime = NOON, zone: str = "Europe/Berlin", **profile: str):
    asking = Asking(customer_id=customer, **profile)
    return decide_by_rule(read(*rules), asking, at=at, time_zone=zone, max_length=20)


def why_not(*rules: object) -> str:
    with pytest.raises(InvalidRules) as why:
        read(*rules)
    return str(why.value)


def test_a_rule_is_read_with_all_that_it_says():
    told = a_rule(
        "german-wholesalers_1.0",
        {"accept": {"customer_number": "MP-{customer_id}"}},
        country=["DE", "AT"],
        currency=["EUR"],
        vat_id="valid",
        customer_id=["c-1"],
    )

    assert read(told, a_rule("b", {"reject": {"reason": "no"}}), a_rule("c", {"defer": {"days": 14}})) == (
        Rule(
            name="german-wholesalers_1.0",
            then=Accept(customer_number="MP-{customer_id}"),
            country=frozenset({"DE", "AT"}),
            currency=frozenset({"EUR"}),
            vat_id=VatId.VALID,
            customer_id=frozenset({"c-1"}),
        ),
        Rule(name="b", then=Reject(reason="no")),
        Rule(name="c", then=Defer(days=14)),
    )


def test_rules_of_the_same_words_are_the_same_rules():
    told = a_rule(country=["DE", "AT"]), a_rule(country=["AT", "DE", "DE"])

    assert len({read(one) for one in told}) == 1


def test_a_hundred_rules_are_taken_and_one_more_is_not():
    rules = [a_rule(f"r{n}") for n in range(101)]

    assert len(read(*rules[:100])) == 100
    assert why_not(*rules) == "takes a list of at most 100 rules"


@pytest.mark.parametrize("condition", ["customer_id", "currency", "country"])
def test_a_list_takes_a_thousand_values_and_not_one_more(condition):
    value = {"customer_id": "c-1", "currency": "EUR", "country": "DE"}[condition]

    assert read(a_rule(**{condition: [value] * 1000}))
    assert f"when.{condition} takes a list of 1 to 1000" in why_not(a_rule(**{condition: [value] * 1001}))


@pytest.mark.parametrize("name", ["", "a b", "a:b", "x" * 65, "ä", "a\n", "a\0", 7, None, ["a"]])
def test_a_name_that_a_history_could_not_show_is_refused(name):
    assert why_not(a_rule("a"), {"name": name, "then": ACCEPT}).startswith("rule 2: name takes 1 to 64 letters")


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"name": "a", "then": ACCEPT, "if": {}}, ""),
        ({"name": "a", "then": ACCEPT, "when": None}, ": when"),
        ({"name": "a", "then": ACCEPT, "when": []}, ": when"),
        (a_rule(vat_id="Valid"), ": when.vat_id"),
        (a_rule(vat_id=None), ": when.vat_id"),
        (a_rule(country="DE"), ": when.country"),
        (a_rule(country=["Germany"]), ": when.country"),
        (a_rule(country=["XX"]), ": when.country"),
        (a_rule(currency=["EURO"]), ": when.currency"),
        (a_rule(customer_id=[""]), ": when.customer_id"),
        (a_rule(customer_id=["c-1\n"]), ": when.customer_id"),
        (a_rule(customer_id=[7]), ": when.customer_id"),
        ({"name": "a"}, ": then"),
        (a_rule(then="accept"), ": then"),
        (a_rule(then={}), ": then"),
        (a_rule(then={"end": {}}), ": then"),
        (a_rule(then={"accept": True}), ": then.accept"),
        (a_rule(then={"accept": {"number": "1"}}), ": then.accept"),
        (a_rule(then={"accept": {"customer_number": None}}), ": then.accept.customer_number"),
        (a_rule(then={"accept": {"customer_number": 7}}), ": then.accept.customer_number"),
        (a_rule(then={"accept": {"customer_number": "{customer_id"}}), ": then.accept.customer_number"),
        (a_rule(then={"accept": {"customer_number": "{}"}}), ": then.accept.customer_number"),
        (a_rule(then={"accept": {"customer_number": "\ud800"}}), ": then.accept.customer_number"),
        (a_rule(then={"accept": {"customer_number": "1\0"}}), ": then.accept.customer_number"),
        (a_rule(then={"accept": {"customer_number": "{customer_id}" * 21}}), ": then.accept.customer_number"),
        (a_rule(then={"accept": {"customer_number": " " * 300 + "1"}}), ": then.accept.customer_number"),
        (a_rule(then={"reject": {"reason": ""}}), ": then.reject.reason"),
        (a_rule(then={"reject": {"reason": " \u00a0"}}), ": then.reject.reason"),
        (a_rule(then={"reject": {"reason": "x" * 501}}), ": then.reject.reason"),
        (a_rule(then={"reject": {"reason": "a\0b"}}), ": then.reject.reason"),
        (a_rule(then={"reject": {"reason": "a\udfffb"}}), ": then.reject.reason"),
        (a_rule(then={"defer": {}}), ": then.defer.days"),
        (a_rule(then={"defer": {"days": True}}), ": then.defer.days"),
        (a_rule(then={"defer": {"days": 14.0}}), ": then.defer.days"),
        (a_rule(then={"defer": {"days": -1}}), ": then.defer.days"),
        (a_rule(then={"defer": {"days": "14"}}), ": then.defer.days"),
        (a_rule(then={"defer": {"days": 14, "resubmission_date": "2026-03-30"}}), ": then.defer"),
    ],
)
def test_what_makes_no_sense_is_refused_and_it_is_said_where(told, field):
    assert why_not(a_rule("first"), told).startswith(f"rule 2 (a){field} takes ")


def test_a_refusal_repeats_no_value():
    secret = a_rule(then={"reject": {"reason": "secret\0"}}), a_rule(country=["secret"]), a_rule(secret=1)

    assert not [told for told in secret if "secret" in why_not(told)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "when", "then", "days"]), inner),
    max_leaves=8,
)


@patient
@given(json_values, json_values, json_values)
def test_whatever_json_says_is_read_or_refused(value, when, then):
    for told in (value, [value], [{"name": "a", "when": when, "then": then}]):
        with suppress(InvalidRules):
            assert isinstance(read_rules(told, max_length=20), tuple)


def test_all_countries_are_known_and_what_is_often_taken_for_one_is_not():
    assert len(countries()) >= 249
    assert {"DE", "AT", "CH", "GB", "GR"} <= countries()
    assert not {"UK", "EL", "EU"} & countries()


@patient
@given(st.text(max_size=40), st.sampled_from(sorted(countries())) | st.text(max_size=3))
@example("²" * 9, "DE")
@example("DE" + "٣" * 9, "DE")
@example("1" * 100_000, "DE")
@example("1", "..")
@example("1", "util")
def test_any_text_is_a_well_formed_vat_id_or_it_is_not(text, country):
    assert is_well_formed(text, country=country) in (True, False)


@pytest.mark.parametrize("country", sorted(countries()))
def test_every_countrys_vat_ids_are_judged_without_a_failure(country):
    told = ["", "0", "123456789", "12345678901", f"{country}123456789", "ABCDEFGHI", "²²²²²²²²²", "0" * 32]

    assert all(is_well_formed(text, country=country) in (True, False) for text in told)


def test_a_decision_by_rule_names_its_rule():
    assert decided(a_rule("b", {"reject": {"reason": "no"}}), at=minutes_after_noon(3)) == Judged(
        kind=Kind.REJECT,
        at=minutes_after_noon(3),
        decided_by="rule:b",
        reason="no",
        customer_number=None,
        resubmission_date=None,
    )


def test_the_longest_customer_id_may_be_too_long_for_a_number_and_then_a_person_decides():
    numbered = a_rule("numbered", {"accept": {"customer_number": "MP-{customer_id}"}})

    assert decided(numbered, a_rule("rest"), customer="x" * 17).customer_number == "MP-" + "x" * 17
    assert decided(numbered, a_rule("rest"), customer="x" * 18) == NumberNotMade(
        "numbered", "is longer than 20 characters"
    )


def test_a_country_that_only_looks_like_one_in_capitals_is_none():
    assert decided(a_rule(country=["SS"]), country="ß") is None


@pytest.mark.parametrize(
    ("at", "zone", "day"),
    [
        (datetime(2026, 3, 28, 23, 30, tzinfo=UTC), "Europe/Berlin", date(2026, 3, 30)),  # over a short night
        (datetime(2026, 12, 31, 23, 30, tzinfo=UTC), "Europe/Berlin", date(2027, 1, 2)),
        (datetime(2026, 12, 31, 23, 30, tzinfo=UTC), "Pacific/Honolulu", date(2027, 1, 1)),
        (datetime(2028, 2, 28, 12, tzinfo=UTC), "Europe/Berlin", date(2028, 2, 29)),
    ],
)
def test_a_deferral_by_days_counts_the_days_of_the_suppliers_calendar(at, zone, day):
    assert decided(a_rule(then={"defer": {"days": 1}}), at=at, zone=zone).resubmission_date == day


def test_five_years_are_the_longest_deferral():
    longest = decided(a_rule(then={"defer": {"days": 1826}}))

    assert longest.resubmission_date == NOON.date() + timedelta(days=1826)


# What a person may still say after a rule: the transition table's business, no other than after a person's decision.


def decided_by_rule(then: object):
    by_rule = decided(a_rule("by-itself", then))
    outcome = decide(a_relationship(State.REQUESTED), by_rule, at=by_rule.at)
    assert isinstance(outcome, Changed)
    return after(outcome.version)


@pytest.mark.parametrize(
    ("then", "person", "becomes"),
    [
        ({"reject": {"reason": "no"}}, Kind.ACCEPT, State.PARTNER),
        ({"defer": {"days": 7}}, Kind.ACCEPT, State.PARTNER),
        ({"defer": {"days": 7}}, Kind.REJECT, State.REJECTED),
        (ACCEPT, Kind.END, State.ENDED),
    ],
)
def test_a_persons_decision_of_the_same_instant_or_later_wins_over_a_rules(then, person, becomes):
    for minutes in (0, 1):
        outcome = decide(decided_by_rule(then), judged(person), at=minutes_after_noon(minutes))

        assert isinstance(outcome, Changed)
        assert (outcome.version.state, outcome.version.decided_by) == (becomes, "j.meier")


def test_whoever_was_accepted_by_a_rule_is_not_rejected_any_more_but_ended():
    assert decide(decided_by_rule(ACCEPT), judged(Kind.REJECT), at=NOON) == Refused(Refusal.ALREADY_PARTNER)


# Rules as a setting


def test_rules_are_off_until_they_are_told_and_null_or_an_empty_list_switches_them_off():
    own = changed(BUILT_IN, {"rules": [a_rule("a")]})

    assert BUILT_IN.rules == ()
    assert [rule.name for rule in own.rules] == ["a"]
    assert changed(own, {"time_zone": "UTC"}).rules == own.rules
    assert changed(own, {"rules": []}).rules == changed(own, {"rules": None}).rules == ()


def test_rules_replace_the_former_ones_as_a_whole():
    own = changed(BUILT_IN, {"rules": [a_rule("a"), a_rule("b")]})

    assert [rule.name for rule in changed(own, {"rules": [a_rule("b")]}).rules] == ["b"]


def test_one_wrong_rule_refuses_all_of_the_settings_and_says_what_and_where():
    with pytest.raises(InvalidSettings) as why:
        changed(BUILT_IN, {"time_zone": "UTC", "rules": [a_rule("a"), a_rule("b", vat_id=True)]})

    assert str(why.value) == "rules: rule 2 (b): when.vat_id takes present or valid"


@pytest.mark.parametrize("value", [{}, "a", 7, True, ["a"], [None], [[]]])
def test_rules_are_a_list_of_rules(value):
    with pytest.raises(InvalidSettings):
        changed(BUILT_IN, {"rules": value})


def test_templates_are_held_against_the_length_of_the_same_change():
    template = {"rules": [a_rule(then={"accept": {"customer_number": "MARKETPLACE-{customer_id}"}})]}

    assert changed(BUILT_IN, {"customer_number_max_length": 13, **template}).rules
    with pytest.raises(InvalidSettings):
        changed(BUILT_IN, {**template, "customer_number_max_length": 12})


def test_settings_with_rules_are_a_value():
    own = changed(BUILT_IN, {"rules": [a_rule(country=["DE"])]})

    assert own == Settings(rules=(Rule(name="a", then=Accept(), country=frozenset({"DE"})),))
    assert hash(own) == hash(changed(BUILT_IN, {"rules": [a_rule(country=["DE"])]}))
