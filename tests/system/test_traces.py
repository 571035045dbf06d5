"""Trace context goes from an input to its outputs; a batch's span is linked to the traces of its inputs."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from roads.driving import Road
from waiting import until

TRACE, OTHER = "0af7651916cd43dd8448eb211c80319c", "1bf7651916cd43dd8448eb211c80319c"


class Collector:
    """A collector of spans: OTLP over HTTP, on loopback."""

    def __init__(self) -> None:
        spans: list[Any] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                request = ExportTraceServiceRequest.FromString(body)
                spans.extend(s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self.spans = spans
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"

    def links(self, name: str) -> set[str]:
        """The traces that spans of that name are linked to."""
        return {link.trace_id.hex() for span in self.spans if span.name == name for link in span.links}


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def context(trace: str, *, sampled: bool = True) -> str:
    return f"00-{trace}-b7ad6b7169203331-{'01' if sampled else '00'}"


async def test_trace_context_goes_through_and_spans_are_linked_to_it(road: Road, collector: Collector):
    road.settings["RELATIONSHIP_WORKER_TRACES_ENDPOINT"] = collector.endpoint
    await road.start()
    await road.request("nora", ce_traceparent=context(OTHER))
    await road.order("O-1", "nora", traceparent=context(TRACE))
    await road.order("O-2", "nora", traceparent=context("2" * 32, sampled=False))
    await road.order("O-3", "nora", traceparent="no context at all")
    await road.order("O-4", "nora")

    told = {order.data["order"]["order_id"]: order for order in await road.told("enriched-orders", 4)}
    events = await road.told("relationship-events", 1)
    [event] = [event for event in events if event.type == "relationship.requested"]
    await until("spans of both roads", lambda: _both(collector))

    assert told["O-1"].header("traceparent") == context(TRACE)
    assert event.header("ce_traceparent") == context(OTHER)
    assert collector.links("process orders") == {TRACE}
    assert collector.links("process connection-requests") == {OTHER}
    attributes = {a.key: a.value for a in collector.spans[0].attributes}
    assert attributes["messaging.system"].string_value == "kafka"
    assert attributes["messaging.batch.message_count"].int_value >= 1


async def test_a_collector_that_is_away_holds_up_neither_orders_nor_the_stop(road: Road):
    road.settings["RELATIONSHIP_WORKER_TRACES_ENDPOINT"] = "http://127.0.0.1:1/v1/traces"  # nobody listens
    await road.start()
    await road.order("O-1", "nora", traceparent=context(TRACE))
    await road.told("enriched-orders", 1)

    began = asyncio.get_running_loop().time()
    assert await road.stop() == [0]
    assert asyncio.get_running_loop().time() - began < 10


async def _both(collector: Collector) -> bool:
    spans = {span.name for span in collector.spans if span.links}
    return {"process orders", "process connection-requests"} <= spans
