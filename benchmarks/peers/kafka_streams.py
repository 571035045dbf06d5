"""Kafka Streams."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prepared:
    """How to start the peer, or why that can't be had here."""

    command: tuple[str, ...] = ()
    missing: str | None = None


def prepared() -> Prepared:
    """Compile what is to be compiled."""
    return Prepared(missing="not built yet")
