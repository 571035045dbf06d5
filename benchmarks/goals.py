"""What the worker is to reach, each against its figure of the same run; where nothing was measured, nothing is said."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.results import Results

CPU, POSTGRES = "cpu_us_per_order", "postgres_cpu_us_per_order"
SPEED, MEMORY = "orders_per_second", "peak_rss_mib"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A bound, and where the figure comes from."""

    says: str
    value: Callable[[Results], float | None]
    at_most: float | None = None
    at_least: float | None = None

    @property
    def bound(self) -> str:
        """As text."""
        return f"≤ {self.at_most:g}" if self.at_most is not None else f"≥ {self.at_least:g}"

    def reached(self, value: float) -> bool:
        """Whether this figure is within the bound."""
        return value <= self.at_most if self.at_most is not None else value >= (self.at_least or 0)


def _figure(scenario: str, row: str, name: str) -> Callable[[Results], float | None]:
    return lambda results: results.figure(scenario, row, name)


def _ratio(
    scenario: str, row: str, name: str, *, to: str, to_name: str | None = None
) -> Callable[[Results], float | None]:
    """A row's figure against another row's; or against another figure of its own."""

    def value(results: Results) -> float | None:
        found, other = results.figure(scenario, row, name), results.figure(scenario, to, to_name or name)
        return found / other if found is not None and other else None

    return value


def _both_ratio(scenario: str, row: str, *, to: str) -> Callable[[Results], float | None]:
    """The CPU of the worker and of PostgreSQL together."""

    def value(results: Results) -> float | None:
        found, other = results.median(scenario, row), results.median(scenario, to)
        return (found[CPU] + found[POSTGRES]) / (other[CPU] + other[POSTGRES]) if found and other else None

    return value


GOALS = [
    Goal(says="CPU per order, × the bare client's", value=_ratio("peers", "worker", CPU, to="aiokafka"), at_most=0.85),
    Goal(says="CPU per order, × Quix Streams'", value=_ratio("peers", "worker", CPU, to="quix"), at_most=0.75),
    Goal(
        says="CPU per order, × Kafka Streams'", value=_ratio("peers", "worker", CPU, to="kafka-streams"), at_most=0.65
    ),
    Goal(says="CPU per order, × FastStream's", value=_ratio("peers", "worker", CPU, to="faststream"), at_most=0.025),
    Goal(says="PostgreSQL's CPU per order, µs", value=_figure("peers", "worker", POSTGRES), at_most=8),
    Goal(says="orders/s, × Quix Streams'", value=_ratio("peers", "worker", SPEED, to="quix"), at_least=1.0),
    Goal(
        says="orders/s exactly once, × those at least once",
        value=_ratio("peers", "worker", SPEED, to="worker-at-least-once"),
        at_least=0.9,
    ),
    Goal(
        says="CPU per order with traces, × without",
        value=_ratio("traces", "worker-traced", CPU, to="worker"),
        at_most=1.1,
    ),
    Goal(says="end to end at 1,000/s, p50 ms", value=_figure("latency", "worker", "p50_ms"), at_most=15),
    Goal(says="end to end at 1,000/s, p99 ms", value=_figure("latency", "worker", "p99_ms"), at_most=50),
    *(
        Goal(
            says=f"CPU per order with PostgreSQL's, {row}, × 10 k relationships",
            value=_both_ratio("relationships", f"worker, {row}", to="worker, 10 k"),
            at_most=1.15,
        )
        for row in ("10 M", "10 M, skew 0.64", "10 M, skew 1")
    ),
    Goal(says="requests and decisions a second", value=_figure("inputs", "worker", "inputs_per_second"), at_least=5000),
    Goal(
        says="reminders a second, 1 M due at once",
        value=_figure("reminders", "worker", "reminders_per_second"),
        at_least=5000,
    ),
    Goal(
        says="orders' p99 while reminders go out, × before",
        value=_ratio("reminders", "worker", "orders_p99_meanwhile_ms", to="worker", to_name="orders_p99_before_ms"),
        at_most=2,
    ),
    Goal(
        says="memory (RSS) at its highest, all runs of the worker, MiB",
        value=lambda results: max(results.of_workers(MEMORY), default=None),
        at_most=512,
    ),
]
