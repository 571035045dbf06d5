"""Which workers end amid which rounds, and how."""

from dataclasses import dataclass
from random import Random

from model.records import ENRICHED, EVENTS


@dataclass(frozen=True, kw_only=True)
class Blow:
    """A worker ends once a share of a round's outputs on a topic is there; another one takes its place."""

    round: int
    topic: str
    share: float
    gentle: bool  # SIGTERM, not SIGKILL


def blows(seed: int, rounds: int, *, kills: int, stops: int) -> list[Blow]:
    """The first kill strikes amid orders, the second amid decisions, all others anywhere after the first round."""
    rng = Random(seed)
    planned = []
    for number in range(kills + stops):
        round_, topic = rng.randrange(1, rounds), rng.choice((ENRICHED, EVENTS))
        if kills > 0 and number < 2:
            round_, topic = ((2, ENRICHED), (5, EVENTS))[number]
        planned.append(Blow(round=round_, topic=topic, share=rng.uniform(0.02, 0.4), gentle=number >= kills))
    return planned
