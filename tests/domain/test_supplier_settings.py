"""A supplier's settings: what a change leaves, and what refuses all of it."""

from datetime import time

import pytest

from relationship_worker.domain.supplier import (
    BUILT_IN,
    InvalidSettings,
    PartnerWithoutNumber,
    PublicCatalogue,
    Settings,
    changed,
)

OWN = Settings(
    default_customer_number="90000",
    time_zone="America/New_York",
    reminder_time=time(6, 30),
    partner_without_number=PartnerWithoutNumber.NONE,
    public_catalogue=PublicCatalogue.DEFAULT_ALWAYS,
    customer_number_max_length=10,
    correction_window_hours=0,
)


def test_a_supplier_that_never_said_anything():
    assert Settings() == Settings(
        default_customer_number=None,
        time_zone="Europe/Berlin",
        reminder_time=time(8, 0),
        partner_without_number=PartnerWithoutNumber.DEFAULT,
        public_catalogue=PublicCatalogue.INDIVIDUAL_FIRST,
        customer_number_max_length=20,
        correction_window_hours=72,
    )


def test_every_setting_can_be_said():
    told = {
        "default_customer_number": "90000",
        "time_zone": "America/New_York",
        "reminder_time": "06:30",
        "partner_without_number": "none",
        "public_catalogue": "default_always",
        "customer_number_max_length": 10,
        "correction_window_hours": 0,
    }

    assert changed(BUILT_IN, told) == OWN


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("default_customer_number", None),
        ("time_zone", "Europe/Berlin"),
        ("reminder_time", time(8, 0)),
        ("partner_without_number", PartnerWithoutNumber.DEFAULT),
        ("public_catalogue", PublicCatalogue.INDIVIDUAL_FIRST),
        ("customer_number_max_length", 20),
        ("correction_window_hours", 72),
    ],
)
def test_null_resets_one_setting_and_leaves_the_others(name, value):
    new = changed(OWN, {name: None})

    assert getattr(new, name) == value
    assert {other for other in vars(OWN) if getattr(new, other) != getattr(OWN, other)} == {name}


def test_null_for_everything_resets_everything():
    assert changed(OWN, dict.fromkeys(vars(OWN))) == BUILT_IN


def test_absent_settings_stay_as_they_are():
    assert changed(OWN, {}) == OWN


@pytest.mark.parametrize("value", [None, True, "x", 1e300, ["a"], {"b": object()}])
def test_unknown_settings_are_ignored(value):
    assert changed(OWN, {"colour": value, "Rules": value, "Time_Zone": value}) == OWN


def test_a_default_number_is_trimmed_and_brought_into_nfc():
    assert changed(BUILT_IN, {"default_customer_number": "\u3000Mu\u0308 1 "}).default_customer_number == "M\u00fc 1"


@pytest.mark.parametrize("text", ["", "  ", "\u00a0"])
def test_an_empty_default_number_is_none(text):
    assert changed(OWN, {"default_customer_number": text}).default_customer_number is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("customer_number_max_length", 1),
        ("customer_number_max_length", 64),
        ("correction_window_hours", 0),
        ("correction_window_hours", 720),
        ("time_zone", "UTC"),
        ("time_zone", "America/Argentina/Buenos_Aires"),
        ("time_zone", "Asia/Kathmandu"),
    ],
)
def test_values_that_make_sense(name, value):
    assert getattr(changed(BUILT_IN, {name: value}), name) == value


@pytest.mark.parametrize(("text", "hour"), [("00:00", time(0, 0)), ("23:59", time(23, 59)), ("09:05", time(9, 5))])
def test_reminder_hours_that_make_sense(text, hour):
    assert changed(BUILT_IN, {"reminder_time": text}).reminder_time == hour


WRONG_VALUES = {
    "default_customer_number": [7, 4711.0, True, ["1"], {}, "1" * 21, "1\u200b", "\x00", "1\n1"],
    "time_zone": [
        *("", "Berlin", "europe/berlin", "Europe/Berlin ", "Europe", "Europe/", "CEST", "+01:00", "Europe/Berlin\x00"),
        *("../etc/passwd", "/etc/localtime", 1, False, ["Europe/Berlin"]),
    ],
    "reminder_time": [
        *("", "8:00", "24:00", "08:60", "08:00:00", "08.00", "0800", " 8:00", "08:00 ", "-8:00", "+8:00"),
        *("08:0\u0660", "\u0660\u0668:00", "0\u00b2:00", 8, 800, True, ["08:00"]),
    ],
    "partner_without_number": ["", "None", "NONE", "individual_first", False, 0, ["none"]],
    "public_catalogue": ["", "default", "Default_Always", True, 1, {}],
    "customer_number_max_length": [0, -1, 65, 10**30, "20", 20.5, True, [20]],
    "correction_window_hours": [-1, 721, 10**30, "72", 0.5, False, {}],
}
WRONG = [(name, value) for name, values in WRONG_VALUES.items() for value in values]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_value_that_makes_no_sense_is_refused(name, value):
    with pytest.raises(InvalidSettings):
        changed(OWN, {name: value})


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_one_wrong_value_refuses_all_of_the_change(name, value):
    right = {"time_zone": "UTC", "reminder_time": "07:00", "default_customer_number": "1"}

    with pytest.raises(InvalidSettings):
        changed(OWN, {**right, name: value})


def test_a_default_number_is_held_against_the_length_of_the_same_change():
    longer = {"default_customer_number": "1" * 30, "customer_number_max_length": 30}

    assert changed(BUILT_IN, longer).default_customer_number == "1" * 30
    assert changed(BUILT_IN, dict(reversed(longer.items()))).default_customer_number == "1" * 30


@pytest.mark.parametrize("settings", [BUILT_IN, OWN])
def test_a_default_number_that_is_too_long_for_the_new_length_is_refused(settings):
    with pytest.raises(InvalidSettings):
        changed(settings, {"default_customer_number": "123456", "customer_number_max_length": 5})


def test_a_default_number_is_held_against_a_length_that_is_reset():
    reset = {"default_customer_number": "1" * 20, "customer_number_max_length": None}

    assert changed(OWN, reset).default_customer_number == "1" * 20


def test_a_default_number_is_held_against_the_length_that_stays():
    with pytest.raises(InvalidSettings):
        changed(OWN, {"default_customer_number": "1" * 11})


def test_a_refusal_names_the_setting_and_not_its_value():
    with pytest.raises(InvalidSettings) as why:
        changed(BUILT_IN, {"default_customer_number": "secret\x00"})

    assert "default_customer_number" in str(why.value)
    assert "secret" not in str(why.value)
