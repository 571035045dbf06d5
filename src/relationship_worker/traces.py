"""Traces: a span for each batch of inputs, linked to the traces that they came with. Off unless it is said where spans go.

What a batch tells carries its input's own trace context, on or off; see `messages.outgoing`.
"""

import re
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Link, Tracer

MOST_LINKS = 64  # of a span: each costs as much as half an order, and a batch may have 4,000
FLUSH_MS = 1_000  # at the end: spans that a collector does not take by then are lost, the stop is not late
SAMPLED = 1  # the flag of a context whose trace is recorded: to others a link would lead nowhere

_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")

Trace = tuple[tuple[str, bytes], ...]
"""The headers that passed an input's trace context on, as `Envelope.trace`."""


class NotInstalled(Exception):
    """The extra `traces` is missing."""


class Traces:
    """Where spans go; nowhere until `send_to`."""

    def __init__(self) -> None:
        self._provider: TracerProvider | None = None
        self._tracer: Tracer | None = None

    def send_to(self, endpoint: str, *, service: str, version: str) -> None:
        """From now on, by OTLP over HTTP, from a thread of the library's. Raises NotInstalled."""
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            raise NotInstalled("pip install 'relationship-worker[traces]'") from None
        resource = Resource.create({SERVICE_NAME: service, SERVICE_VERSION: version})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
        self._tracer = self._provider.get_tracer("relationship-worker")

    def batch(
        self, topic: str, partition: int, *, position: int, count: int, since_ns: int, inputs: Iterable[Trace]
    ) -> None:
        """A batch of `count` records is done, begun at `since_ns` (nanoseconds since 1970). Costs nothing where traces
        are off."""
        if self._tracer is None:
            return
        from opentelemetry.trace import SpanKind

        attributes: dict[str, str | int] = {
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.destination.name": topic,
            "messaging.destination.partition.id": str(partition),
            "messaging.kafka.offset": position - 1,
            "messaging.batch.message_count": count,
        }
        links = list(_links(inputs))
        self._tracer.start_span(
            f"process {topic}", kind=SpanKind.CONSUMER, links=links, attributes=attributes, start_time=since_ns
        ).end()

    def flush(self) -> None:
        """Send what was not sent yet; blocks for a second at the most. The last thing that a process does."""
        if self._provider is not None:
            # In a thread that nobody waits for any longer: the library goes on trying, whatever time it is given.
            thread = threading.Thread(target=self._provider.force_flush, args=(FLUSH_MS,), daemon=True)
            thread.start()
            thread.join(FLUSH_MS / 1000)


TRACES = Traces()
"""The process's own."""


def _links(inputs: Iterable[Trace]) -> "Iterator[Link]":
    from opentelemetry.trace import Link, SpanContext, TraceFlags

    left = MOST_LINKS
    for trace in inputs:
        found = _TRACEPARENT.fullmatch(trace[0][1]) if trace else None
        if found is None or not int(found[3], 16) & SAMPLED:
            continue
        context = SpanContext(int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=TraceFlags(SAMPLED))
        if context.is_valid:
            yield Link(context)
            left -= 1
        if not left:
            return
