"""How long records in good order waited: from the moment they were sent to the moment a reader saw what they led to."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from model.records import DEAD_LETTERS, Record
from system.chaos_report import quantile
from system.reading import Place


@dataclass(frozen=True)
class Waits:
    """Of some records, in seconds, the shortest first."""

    seconds: tuple[float, ...]

    @property
    def longest(self) -> float:
        """0 where there were none."""
        return max(self.seconds, default=0.0)

    def __str__(self) -> str:
        if not self.seconds:
            return "none"
        p50, p99 = (quantile(self.seconds, share) for share in (0.5, 0.99))
        return f"{len(self.seconds)}: p50 {p50:.2f} s, p99 {p99:.2f} s, at most {self.longest:.2f} s"


@dataclass
class Sent:
    """When each event was handed to Kafka."""

    at: dict[str, datetime] = field(default_factory=dict)

    def now(self, records: Iterable[Record]) -> None:
        """These are about to be sent."""
        moment = datetime.now(UTC)
        self.at.update((id_, moment) for record in records if (id_ := record.header("ce_id")))

    def waits(self, ids: Collection[str], told: Iterable[Record], seen_at: Mapping[Place, datetime]) -> Waits:
        """Of these events, by what was told of them first."""
        first: dict[str, datetime] = {}
        for record in told:
            id_ = record.header("ce_causationid")
            if id_ in ids and record.topic != DEAD_LETTERS:
                first[id_] = min(seen_at[record.place], first.get(id_, seen_at[record.place]))
        return Waits(tuple(sorted((at - self.at[id_]).total_seconds() for id_, at in first.items())))
