"""What the project is made of: pinned by hash, as pyproject.toml asks, listed for whoever runs it, and audited."""

import json
import os
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from deploy.locks import needed, pins, version_of

PROJECT = Path(__file__).parents[2]
SUPPLY = PROJECT / ".tools" / "supply" / "bin" / "python"
IMAGE, TESTED = PROJECT / "deploy" / "requirements.lock", PROJECT / "requirements.lock"
LOCKS = [
    TESTED,
    IMAGE,
    PROJECT / "deploy" / "tools" / "requirements.lock",
    PROJECT / "deploy" / "tools" / "supply.lock",
    PROJECT / "benchmarks" / "peers" / "requirements.lock",
]
ASKED_FOR = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = ASKED_FOR["optional-dependencies"]
NOBODY = "http://127.0.0.1:1/v1/query"  # port 1: nobody listens


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(PROJECT)))
def test_every_package_of_a_lock_is_one_version_with_its_hashes(lock: Path):
    named = pins(lock)
    assert named
    assert [name for name, (pin, hashes) in named.items() if not version_of(pin) or not hashes] == []


@pytest.mark.parametrize(
    ("lock", "extras"), [(TESTED, list(EXTRAS)), (IMAGE, ["traces", "image"])], ids=["tested", "image"]
)
def test_a_lock_is_what_the_project_asks_for_no_more_and_no_less(lock: Path, extras: list[str]):
    named = {name: pin for name, (pin, _) in pins(lock).items() if not pin.marker or pin.marker.evaluate()}

    asked = needed([*ASKED_FOR["dependencies"], *(text for extra in extras for text in EXTRAS[extra])])

    assert set(named) == set(asked)
    assert {name: version_of(pin) for name, pin in named.items()} == {name: version(name) for name in named}
    unmet = [(name, one) for name, pin in named.items() for one in asked[name] if version_of(pin) not in one.specifier]
    assert unmet == []


def test_every_lock_of_the_project_is_checked_and_audited():
    tracked = subprocess.run(["git", "ls-files", "*.lock"], cwd=PROJECT, capture_output=True, text=True, check=True)
    audit = subprocess.run(["make", "-n", "audit"], cwd=PROJECT, capture_output=True, text=True, check=True)

    assert sorted(tracked.stdout.split()) == sorted(str(lock.relative_to(PROJECT)) for lock in LOCKS)
    assert [lock for lock in tracked.stdout.split() if lock not in audit.stdout.split()] == []


def sbom(to: Path) -> dict[str, Any]:
    """The image's bill of materials; the tool that makes it holds it against the schema of CycloneDX."""
    made = subprocess.run(["make", "sbom", f"SBOM={to}"], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return dict(json.loads(to.read_bytes()))


def test_the_bill_of_materials_names_what_the_image_is_made_of_and_is_the_same_each_time(tmp_path: Path):
    bill = sbom(tmp_path / "sbom.json")
    sbom(tmp_path / "again.json")

    listed = {(part["name"], part["version"]) for part in bill["components"]}
    hashes = {part["name"]: len(part["externalReferences"][0]["hashes"]) for part in bill["components"]}
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "relationship-worker"
    assert listed == {(pin.name, version_of(pin)) for pin, _ in pins(IMAGE).values()}
    assert hashes == {pin.name: count for pin, count in pins(IMAGE).values()}
    assert (tmp_path / "sbom.json").read_bytes() == (tmp_path / "again.json").read_bytes()


@contextmanager
def vulnerability_service(vulnerable: str) -> Iterator[str]:
    """The address of a service, on loopback, that speaks as OSV does and knows of one bad package."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            package = json.loads(self.rfile.read(int(self.headers["content-length"])))["package"]
            affected = [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "99"}]}]}]
            found = {"vulns": [{"id": "PYSEC-1", "affected": affected}]} if package["name"] == vulnerable else {}
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def audit(service: str, lock: Path = IMAGE) -> subprocess.CompletedProcess[str]:
    assert SUPPLY.exists(), "pip-audit is missing: make tools"
    given = {"PIP_AUDIT_VULNERABILITY_SERVICE": "osv", "PIP_AUDIT_OSV_URL": service}
    program = [SUPPLY, PROJECT / "deploy" / "tools" / "audit.py", lock]
    return subprocess.run(program, env={**os.environ, **given}, capture_output=True, text=True, check=False)


def test_an_audit_is_green_where_a_service_knows_of_nothing():
    with vulnerability_service("nothing-here") as service:
        ended = audit(service)

    assert ended.returncode == 0, ended.stderr
    packages = sum(1 for pin, _ in pins(IMAGE).values() if not pin.marker or pin.marker.evaluate())
    assert f"{packages} of {packages} packages asked about, 0 vulnerabilities known" in ended.stdout


def test_an_audit_names_what_is_known():
    with vulnerability_service("aiokafka") as service:
        ended = audit(service)

    assert ended.returncode == 1
    assert f"aiokafka {version('aiokafka')}: PYSEC-1, mended in 99" in ended.stdout


def test_an_audit_that_reaches_no_service_is_no_pass():
    ended = audit(NOBODY)

    assert ended.returncode == 3
    assert "could not be audited" in ended.stdout
    assert ended.stderr.startswith("audit: NOT DONE")


def test_an_audit_of_a_lock_that_names_nothing_is_no_pass(tmp_path: Path):
    empty = tmp_path / "empty.lock"
    empty.write_text("")

    assert audit(NOBODY, empty).returncode == 3
