"""What processes cost, from the kernel's own account.

User + system time of all threads, the ended ones included, as Linux reports it: exact to a tick (10 ms), which is half a
percent of the shortest run.
"""

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_OWN = slice(11, 13)  # of /proc/PID/stat behind the name: user and system
_WITH_CHILDREN = slice(11, 15)  # and that of children that have ended


def cpu_seconds(pids: Iterable[int]) -> float:
    """Of these processes together."""
    return sum(_seconds(_stat(pid)[1], _OWN) for pid in pids)


def peak_mib(pids: Iterable[int]) -> float:
    """Memory in RAM at its highest so far, of the process that had most."""
    return max(_peak_kib(pid) for pid in pids) / 1024


def cpu_seconds_of(name: str) -> float:
    """Of this process's descendants of this name; what has ended under them counts."""
    parents: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                own_name, fields = _stat(int(folder.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(folder.name)] = int(fields[1])
            if own_name == name:
                seconds[int(folder.name)] = _seconds(fields, _WITH_CHILDREN)
    return sum(spent for pid, spent in seconds.items() if _descends(pid, parents))


def _stat(pid: int) -> tuple[str, list[str]]:
    """Name and what stands behind it."""
    before, _, after = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    return before.partition("(")[2], after.split()


def _seconds(fields: list[str], which: slice) -> float:
    return sum(map(int, fields[which])) / _TICKS


def _peak_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def _descends(pid: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        if pid == os.getpid():
            return True
        pid = parents[pid]
    return False
