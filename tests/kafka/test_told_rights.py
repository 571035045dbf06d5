"""What a broker tells of what one may do."""

import pytest

from relationship_worker.kafka.refusals import NOT_SAID, allows
from relationship_worker.kafka.rights import Kind, Operation, Right

READ = Right(Operation.READ, Kind.TOPIC, "orders", "to read it")
READ_ALONE = 1 << 3


@pytest.mark.parametrize(
    ("told", "allowed"), [(READ_ALONE, True), (~READ_ALONE & 0xFFF, False), (0, False), (None, False)]
)
def test_a_right_is_there_where_it_is_told(told, allowed):
    assert allows(told, READ) is allowed


def test_a_broker_that_tells_nothing_of_rights_is_no_reason_to_refuse_a_start():
    assert allows(NOT_SAID, READ)
