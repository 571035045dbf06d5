"""Header names that are no UTF-8: the protocol forbids them, brokers let them pass."""

import struct

from aiokafka.record.util import calc_crc32c

from roads.driving import ORDERS, Road

CRC_AT, CRC_OVER = 17, 21  # where a record batch keeps its checksum, and from where it is taken


async def test_a_header_name_that_is_no_utf8_holds_nothing_back(road: Road):
    await road.start()
    before = await road.order("before", "ida", partition=1)
    batch = road.producer.create_batch()
    batch.append(timestamp=None, key=b"k", value=b"{", headers=[("BADNAME", b"1")])
    built = bytearray(bytes(batch._build()).replace(b"BADNAME", b"\xff\xfeDNAME"))

    def signed() -> bytearray:
        struct.pack_into(">I", built, CRC_AT, calc_crc32c(bytes(built[CRC_OVER:])))
        return built

    batch._build = signed
    batch._set_producer_state = lambda pid, epoch, base: struct.pack_into(">qhi", built, 43, pid, epoch, base)
    sent = await road.producer.send_batch(batch, road.prefix + ORDERS, partition=1)
    await sent
    behind = await road.order("behind", "ida", partition=1)

    told = await road.told("enriched-orders", 2)

    assert [o.cause for o in told] == [before, behind]
    assert len(await road.told("dead-letters", 1)) == 1
