"""Known vulnerabilities of what the locks name: `audit.py LOCK…`; a package that could not be asked about is no pass.

By itself pip-audit calls a lock clean whose packages its service does not know. Exit code 0: all were asked about, and
nothing is known; 1: something is known; 3: a service could not be reached, or does not know a package.
"""

import json
import subprocess
import sys

KNOWN, NOT_ASKED = 1, 3  # exit codes


def audit(lock: str) -> tuple[list[str], list[str], str]:
    """What is known of a lock's packages, which of them could not be asked about, and a sentence on the lock."""
    command = [sys.executable, "-m", "pip_audit", "--format=json", "--progress-spinner=off", "--desc=off"]
    ended = subprocess.run(
        [*command, "--disable-pip", "--require-hashes", "--requirement", lock],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        packages = json.loads(ended.stdout)["dependencies"]
    except ValueError:  # no service: it says so last
        why = (ended.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
        return [], [lock], f"{lock}: could not be audited: {why}"
    known = [
        f"{lock}: {package['name']} {package['version']}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'none'}"
        for package in packages
        for found in package.get("vulns", ())
    ]
    not_asked = [package["name"] for package in packages if "vulns" not in package]
    asked = len(packages) - len(not_asked)
    said = f"{lock}: {asked} of {len(packages)} packages asked about, {len(known)} vulnerabilities known"
    return known, not_asked if packages else [lock], said


def main(locks: list[str]) -> int:
    """Audit each, say what was found, and return the exit code."""
    outcomes = [audit(lock) for lock in locks]
    for known, not_asked, said in outcomes:
        print("\n".join([*known, said]))
        if not_asked:
            print(f"    not asked about: {', '.join(not_asked)}")
    if any(known for known, _, _ in outcomes):
        return KNOWN
    if not outcomes or any(not_asked for _, not_asked, _ in outcomes):
        print(
            "audit: NOT DONE: the vulnerability service can't be reached from here, or does not know these packages; "
            "PIP_AUDIT_VULNERABILITY_SERVICE (pypi, osv) and PIP_AUDIT_OSV_URL name another",
            file=sys.stderr,
        )
        return NOT_ASKED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
