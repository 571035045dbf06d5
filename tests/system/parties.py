"""Who takes part, and how test data says whose it is: a number begins with its supplier's two digits."""

import re
import unicodedata
from dataclasses import dataclass
from random import Random

CONTACT = "Erika Mustermann"  # personal data: it must turn up in no text that the worker writes itself

_OWNER = re.compile(r"(\d\d)-", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Party:
    """A supplier."""

    index: int
    id: str
    moves: bool  # its clock is moved at the end, over the date line
    longest_number: int

    def default_number(self, serial: int) -> str:
        """A number of the open marketplace."""
        return f"{self.index:02}-default-{serial}"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A supplier and a customer; in a group, two pairs of a supplier share a number, and act in turns."""

    serial: int
    supplier: Party
    customer_id: str
    group: int | None
    turn: int

    @property
    def key(self) -> bytes:
        """The key under which producers send."""
        return f"{self.supplier.id}/{self.customer_id}".encode()

    @property
    def group_number(self) -> str:
        """The number that the group shares."""
        return f"{self.supplier.index:02}-group-{self.group}"


def suppliers(count: int) -> list[Party]:
    """Suppliers whose ids are easily mistaken for one another."""
    made = []
    for index in range(count):
        twin = f"supplier-{index - index % 4:02}"
        identity = (twin, twin.upper(), f"{twin}:x", f"{twin}.eu@+_")[index % 4]
        longest = (20, 20, 30, 64, 18)[index % 5]
        made.append(Party(index=index, id=identity, moves=index % 3 == 0, longest_number=longest))
    return made


def pairs(rng: Random, parties: list[Party], count: int) -> list[Pair]:
    """Customers, most of them at several suppliers; some ids only differ in case or in where a colon stands."""
    made: list[Pair] = []
    taken: set[tuple[str, str]] = set()
    while len(made) < count:
        customer = f"k{rng.randrange(count):05}"
        customer = rng.choice((customer, customer, customer, customer.upper(), f"x:{customer}"))
        supplier = rng.choice(parties)
        if (supplier.id, customer) in taken:
            continue
        taken.add((supplier.id, customer))
        made.append(Pair(serial=len(made), supplier=supplier, customer_id=customer, group=None, turn=0))
    return _grouped(rng, made)


def _grouped(rng: Random, made: list[Pair]) -> list[Pair]:
    by_supplier: dict[str, list[Pair]] = {}
    for pair in made:
        by_supplier.setdefault(pair.supplier.id, []).append(pair)
    grouped = {}
    for own in by_supplier.values():
        for number, couple in enumerate(zip(own[::2], own[1::2], strict=False)):
            if rng.random() < 0.2:
                for turn, pair in enumerate(couple):
                    grouped[pair.serial] = Pair(
                        serial=pair.serial,
                        supplier=pair.supplier,
                        customer_id=pair.customer_id,
                        group=number,
                        turn=turn,
                    )
    return [grouped.get(pair.serial, pair) for pair in made]


def owner(number: str | None) -> int | None:
    """The index of the supplier that a number says it belongs to."""
    found = _OWNER.match(number or "")
    return int(found[1]) if found else None


def number_text(rng: Random, pair: Pair, serial: int) -> str:
    """A valid number of a pair, in one of the shapes that must survive, perhaps with white space around it."""
    stem = f"{pair.supplier.index:02}-{pair.serial:05}-{serial}"
    longest = pair.supplier.longest_number
    shapes = (
        stem,
        f"{stem} a",
        stem.replace("-", "- ", 1) if len(stem) < longest else stem,
        f"{stem}/ß",
        unicodedata.normalize("NFD", f"{stem}ü"),
        f"{stem}𝟜",
        stem + "0" * (longest - len(stem)),
    )
    outer = rng.choice(("", "", "", " ", "\t", "\u00a0", "\u2003", "\u3000", "\r\n"))
    return outer + rng.choice(shapes) + outer


def invalid_number_text(rng: Random, pair: Pair) -> str:
    """A number that is refused."""
    stem = f"{pair.supplier.index:02}-{pair.serial:05}"
    return rng.choice(
        (
            f"{stem}\u200b1",
            f"{stem}\u202e1",
            f"{stem}\t1",
            f"{stem}\u2028x",
            f"{stem}\u00ad1",
            f"\x1f{stem}",  # no white space, although Python strips it
            f"{stem}\ufeff",
            stem + "9" * (pair.supplier.longest_number - len(stem) + 1),
        )
    )
