"""What a lock names, and what a project needs by the metadata of what is installed: no network is asked."""

import re
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def pins(lock: Path) -> dict[str, tuple[Requirement, int]]:
    """The requirements of a lock, and how many hashes each has; every line of it must be one of the three that pip knows."""
    found = {}
    for line in lock.read_text("utf-8").replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            requirement = Requirement(line.partition("--hash")[0].strip())
            name = canonicalize_name(requirement.name)
            assert name not in found, f"{name} twice in {lock.name}"
            found[name] = (requirement, len(_HASH.findall(line)))
    return found


def version_of(requirement: Requirement) -> str:
    """The one version that a pin allows."""
    [specifier] = requirement.specifier
    assert specifier.operator == "==", requirement
    assert "*" not in specifier.version, requirement
    return specifier.version


def needed(wanted: Iterable[str]) -> dict[str, list[Requirement]]:
    """All that requirements need here, and what they need in turn: each package with what is asked of it."""
    asked: dict[str, list[Requirement]] = {}
    done: set[tuple[str, str]] = set()
    left = [(Requirement(text), "") for text in wanted]
    while left:
        requirement, extra = left.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        asked.setdefault(name, []).append(requirement)
        for wanted_extra in ("", *requirement.extras):
            if (name, wanted_extra) not in done:
                done.add((name, wanted_extra))
                left += [(Requirement(text), wanted_extra) for text in distribution(name).requires or ()]
    return asked
