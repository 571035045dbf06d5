"""What the two relationship topics carry, read field by field."""

import pytest

from builders import NOON, PAIR, an_event
from relationship_worker.domain.relationship import Input, Kind
from relationship_worker.domain.supplier import BUILT_IN, InvalidSettings, changed
from relationship_worker.messages.envelope import InvalidMessage, Reason
from relationship_worker.messages.incoming import ErasureInput, RelationshipInput, SettingsInput, read_input

REQUESTED = "marketplace.connection.requested"
WITHDRAWN = "marketplace.connection.withdrawn"
PROFILE_UPDATED = "marketplace.customer.profile-updated"
ASSORTMENT_ASSIGNED = "marketplace.customer.assortment-assigned"
ERASED = "marketplace.customer.erased"
ACCEPTED = "supplier.connection.accepted"
REJECTED = "supplier.connection.rejected"
DEFERRED = "supplier.connection.deferred"
ENDED = "supplier.connection.ended"
NUMBER_ASSIGNED = "supplier.customer-number.assigned"
SETTINGS_CHANGED = "supplier.settings.changed"

# Each type with no more than it needs.
SMALLEST = {
    REQUESTED: {},
    WITHDRAWN: {},
    PROFILE_UPDATED: {"profile": {}},
    ASSORTMENT_ASSIGNED: {"assortment": {}},
    ERASED: {},
    ACCEPTED: {},
    REJECTED: {},
    DEFERRED: {},
    ENDED: {},
    NUMBER_ASSIGNED: {"customer_number": None},
    SETTINGS_CHANGED: {},
}
ABOUT_A_PAIR = [name for name in SMALLEST if name not in (ERASED, SETTINGS_CHANGED)]


def read(type_, **fields):
    return read_input(an_event(type_, {**PAIR, **SMALLEST[type_], **fields}))


def read_text(type_, members: str):
    """Of an event that holds these members too, as they are written."""
    return read_input(an_event(type_, '{"supplier_id":"s-1","customer_id":"c-1",' + members + "}"))


def why_not(type_, members: str) -> Reason:
    with pytest.raises(InvalidMessage) as why:
        read_text(type_, members)
    return why.value.reason


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        (REQUESTED, Kind.REQUEST),
        (WITHDRAWN, Kind.WITHDRAW),
        (PROFILE_UPDATED, Kind.PROFILE),
        (ASSORTMENT_ASSIGNED, Kind.ASSORTMENT),
        (ACCEPTED, Kind.ACCEPT),
        (REJECTED, Kind.REJECT),
        (DEFERRED, Kind.DEFER),
        (ENDED, Kind.END),
        (NUMBER_ASSIGNED, Kind.NUMBER),
    ],
)
def test_what_each_type_asks_for(type_, kind):
    told = read(type_)

    assert isinstance(told, RelationshipInput)
    assert (told.supplier_id, told.customer_id) == ("s-1", "c-1")
    assert told.told == Input(kind=kind, at=NOON)


def test_a_decision_says_who_decided_and_why():
    told = read(DEFERRED, decided_by="j.meier", reason="Bonität", resubmission_date="2026-04-01").told

    assert told == Input(
        kind=Kind.DEFER, at=NOON, decided_by="j.meier", reason="Bonität", resubmission_date="2026-04-01"
    )


@pytest.mark.parametrize("type_", [ACCEPTED, NUMBER_ASSIGNED])
@pytest.mark.parametrize("text", ["00042", "", "  ", " 47\u200b11 ", "x" * 1_000])
def test_a_number_is_read_as_it_was_told(type_, text):
    assert read(type_, customer_number=text).told.customer_number == text


def test_a_date_is_read_as_it_was_told():
    assert read(DEFERRED, resubmission_date="tomorrow").told.resubmission_date == "tomorrow"


@pytest.mark.parametrize("type_", [ACCEPTED, REJECTED, DEFERRED, ENDED, NUMBER_ASSIGNED])
def test_null_counts_as_absent_in_a_decision(type_):
    nulls = dict.fromkeys(("decided_by", "reason", "customer_number", "resubmission_date"))

    assert read(type_, **nulls).told == read(type_).told


def test_null_counts_as_absent_in_a_request():
    told = read(REQUESTED, profile=None, message=None)

    assert (told.profile, told.message) == (None, None)


def test_a_message_is_read():
    assert read(REQUESTED, message="Bitte um Aufnahme 🙂").message == "Bitte um Aufnahme 🙂"


@pytest.mark.parametrize(
    ("type_", "name"),
    [(PROFILE_UPDATED, "profile"), (ASSORTMENT_ASSIGNED, "assortment"), (NUMBER_ASSIGNED, "customer_number")],
)
def test_an_event_brings_what_it_is_about(type_, name):
    with pytest.raises(InvalidMessage) as why:
        read_input(an_event(type_, PAIR))

    assert why.value.reason is Reason.INVALID_DATA


@pytest.mark.parametrize(("type_", "name"), [(PROFILE_UPDATED, "profile"), (ASSORTMENT_ASSIGNED, "assortment")])
def test_a_profile_or_an_assortment_that_is_null_is_absent(type_, name):
    assert why_not(type_, f'"{name}":null') is Reason.INVALID_DATA


@pytest.mark.parametrize("type_", ABOUT_A_PAIR)
@pytest.mark.parametrize("name", ["supplier_id", "customer_id"])
@pytest.mark.parametrize(
    "wrong", ["null", "1", '""', '"a b"', '"ä"', '"a/b"', f'"{"x" * 65}"', '"\\u0000"', '"\\ud800"', "[]"]
)
def test_an_input_names_its_supplier_and_its_customer(type_, name, wrong):
    smallest = {ASSORTMENT_ASSIGNED: '"assortment":{},', PROFILE_UPDATED: '"profile":{},'}.get(type_, "")

    assert why_not(type_, f'{smallest}"customer_number":null,"{name}":{wrong}') is Reason.INVALID_DATA


@pytest.mark.parametrize("data", ["[]", "null", "1", '"text"', "true"])
@pytest.mark.parametrize("type_", SMALLEST)
def test_the_data_is_an_object(type_, data):
    with pytest.raises(InvalidMessage) as why:
        read_input(an_event(type_, data))

    assert why.value.reason is Reason.INVALID_DATA


@pytest.mark.parametrize(
    "data", ["", "{", "{}x", '{"a":NaN}', '{"a":01}', b'{"a":"\xff"}', "[" * 1_000 + "]" * 1_000, "\ufeff{}"]
)
@pytest.mark.parametrize("type_", SMALLEST)
def test_the_data_is_json(type_, data):
    with pytest.raises(InvalidMessage) as why:
        read_input(an_event(type_, data))

    assert why.value.reason is Reason.INVALID_JSON


TEXTS = [
    *(
        (type_, name)
        for type_ in (ACCEPTED, REJECTED, DEFERRED, ENDED, NUMBER_ASSIGNED)
        for name in ("decided_by", "reason")
    ),
    *((type_, "customer_number") for type_ in (ACCEPTED, NUMBER_ASSIGNED)),
    (DEFERRED, "resubmission_date"),
    (REQUESTED, "message"),
]


@pytest.mark.parametrize(("type_", "name"), TEXTS)
@pytest.mark.parametrize(
    "wrong", ["7", "4711.0", "1e999", "true", "[]", "{}", '["a"]', '"\\u0000"', '"a\\ud800"', '"\\udc00"']
)
def test_a_field_that_is_read_must_be_text_that_can_be_kept(type_, name, wrong):
    number = "" if name == "customer_number" else '"customer_number":null,'

    assert why_not(type_, f'{number}"{name}":{wrong}') is Reason.INVALID_DATA


PROFILES = [
    "{}",
    '{ "company_name" : "Müller & Söhne" ,\n "vat_id":"DE 123" }',
    '{"address":{"street":"Am Hang 1","postal_code":"06120","city":"Halle","country":"EIRE"},"currency":"Taler"}',
    '{"contacts":[{"name":"A","email":"not an address","phone":"-","fax":7},{}],"rating":2.10}',
    '{"contacts":null,"address":null,"company_name":null}',
    '{"contacts":[],"address":{},"unknown":{"n":1e999,"x":12345678901234567890123,"nul":"\\u0000"}}',
    '{"company_name":"\\u004d\\u00fcller"}',
]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("type_", [REQUESTED, PROFILE_UPDATED])
def test_a_profile_is_kept_as_it_was_told_with_what_is_unknown(type_, profile):
    assert read_text(type_, f'"profile":  {profile}  ,"x":"\\ud800"').profile == profile


@pytest.mark.parametrize(
    "profile",
    [
        *(
            "1",
            '"text"',
            "[]",
            "true",
            '{"company_name":7}',
            '{"vat_id":["DE"]}',
            '{"currency":1.0}',
            '{"address":"Am Hang"}',
        ),
        *('{"address":[]}', '{"address":{"postal_code":6120}}', '{"address":{"country":false}}', '{"contacts":{}}'),
        *('{"contacts":"A"}', '{"contacts":["A"]}', '{"contacts":[{"name":7}]}', '{"contacts":[{},{"email":[]}]}'),
        *('{"company_name":"\\u0000"}', '{"address":{"city":"\\ud800"}}', '{"contacts":[{"phone":"1\\udc00"}]}'),
    ],
)
@pytest.mark.parametrize("type_", [REQUESTED, PROFILE_UPDATED])
def test_the_types_in_a_profile_are_checked(type_, profile):
    assert why_not(type_, f'"profile":{profile}') is Reason.INVALID_DATA


@pytest.mark.parametrize(
    "assortment",
    [
        "{}",
        '{"catalogues":[ {"id":"c","name":"Katalog"} ],"price_lists":[{"id":"p","name":null,"x":1}],"discount":0.10}',
        '{"catalogues":null,"price_lists":[]}',
    ],
)
def test_an_assortment_is_kept_as_it_was_told(assortment):
    assert read_text(ASSORTMENT_ASSIGNED, f'"assortment":{assortment}').assortment == assortment


@pytest.mark.parametrize(
    "assortment",
    [
        *("1", "[]", '{"catalogues":{}}', '{"catalogues":["c"]}', '{"price_lists":"p"}', '{"price_lists":[{"id":7}]}'),
        *(
            '{"catalogues":[{"name":["n"]}]}',
            '{"catalogues":[{"id":"\\u0000"}]}',
            '{"price_lists":[{"name":"\\ud800"}]}',
        ),
    ],
)
def test_the_types_in_an_assortment_are_checked(assortment):
    assert why_not(ASSORTMENT_ASSIGNED, f'"assortment":{assortment}') is Reason.INVALID_DATA


@pytest.mark.parametrize(
    "members",
    [
        '"customer_number":"4711"',
        '"customer_number":4710,"customer_number":"4711"',
        '"customer_number":"\\ud800","customer_number":"4711"',
        '"customer_number":"4710","\\u0063ustomer_number":"4711"',
        '"customer_number":4710,"x":"\\ud800","customer\\u005fnumber":"4711"',
    ],
)
def test_among_repeated_keys_the_last_counts(members):
    assert read_text(NUMBER_ASSIGNED, members).told.customer_number == "4711"


def test_among_repeated_profiles_the_last_is_kept():
    told = read_text(REQUESTED, '"profile":{"company_name":7},"profile":{ "company_name":"B" }')

    assert told.profile == '{ "company_name":"B" }'


@pytest.mark.parametrize(
    ("data", "supplier"), [({"customer_id": "c-1"}, None), (PAIR, "s-1"), ({**PAIR, "supplier_id": None}, None)]
)
def test_an_erasure_is_of_one_supplier_or_of_all(data, supplier):
    event = an_event(ERASED, data)

    assert read_input(event) == ErasureInput(event=event, customer_id="c-1", supplier_id=supplier)


@pytest.mark.parametrize(
    "data", [{}, {"supplier_id": "s-1"}, {"customer_id": None}, {"customer_id": 1}, {"customer_id": ""}]
)
def test_an_erasure_names_its_customer(data):
    with pytest.raises(InvalidMessage) as why:
        read_input(an_event(ERASED, data))

    assert why.value.reason is Reason.INVALID_DATA


def settings_told(members: str) -> SettingsInput:
    told = read_input(an_event(SETTINGS_CHANGED, '{"supplier_id":"s-1",' + members + "}"))
    assert isinstance(told, SettingsInput)
    return told


def test_a_change_of_settings_is_read_with_its_nulls_and_without_judging_it():
    told = settings_told(
        '"time_zone":"Mars/Olympus","reminder_time":null,"correction_window_hours":72,"colour":["red"]'
    )

    assert told.supplier_id == "s-1"
    assert told.change == {
        "time_zone": "Mars/Olympus",
        "reminder_time": None,
        "correction_window_hours": 72,
        "colour": ["red"],
    }


def test_among_repeated_settings_the_last_counts():
    assert settings_told('"time_zone":7,"time_zone":"\\ud800","\\u0074ime_zone":"UTC"').change == {"time_zone": "UTC"}


@pytest.mark.parametrize("supplier", ["null", "7", '""', '"a b"', '"\\u0000"', '"\\ud800"', '"s-1","supplier_id":7'])
def test_a_change_of_settings_names_its_supplier(supplier):
    with pytest.raises(InvalidMessage) as why:
        read_input(an_event(SETTINGS_CHANGED, '{"time_zone":"UTC","supplier_id":' + supplier + "}"))

    assert why.value.reason is Reason.INVALID_DATA


@pytest.mark.parametrize(
    "value", ["1e999", "-1e999", "9" * 5_000, "[" * 400 + "]" * 400, '"\\ud800"', '{"\\udc00":1e999}']
)
def test_a_value_that_nobody_can_hold_is_ignored_in_a_setting_that_is_unknown(value):
    change = settings_told(f'"colour":{value},"Rules":{value},"time_zone":"UTC"').change

    assert changed(BUILT_IN, change).time_zone == "UTC"


@pytest.mark.parametrize(
    "name",
    [
        *("default_customer_number", "time_zone", "reminder_time", "partner_without_number", "public_catalogue"),
        *("customer_number_max_length", "correction_window_hours", "rules"),
    ],
)
@pytest.mark.parametrize("value", ["1e999", "-1e999", "9" * 5_000, "[" * 400 + "]" * 400, "{}"])
def test_a_value_that_nobody_can_hold_makes_no_sense_in_a_setting(name, value):
    change = settings_told(f'"{name}":{value}').change

    with pytest.raises(InvalidSettings):
        changed(BUILT_IN, change)


@pytest.mark.parametrize(
    ("type_", "members"),
    [
        (REQUESTED, '"profile":{"contacts":[{"name":["secret"]}]}'),
        (REQUESTED, '"profile":{"contacts":[{"name":"secret\\u0000"}]}'),
        (REQUESTED, '"message":"secret\\ud800"'),
        (ACCEPTED, '"customer_id":"secret secret"'),
        (ACCEPTED, '"reason":{"secret":1}'),
        (ACCEPTED, '"secret'),
    ],
)
def test_why_an_input_is_a_dead_letter_says_nothing_of_the_payload(type_, members):
    with pytest.raises(InvalidMessage) as why:
        read_text(type_, members)

    assert "secret" not in str(why.value)
