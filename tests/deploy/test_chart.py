"""The Helm chart: rendered by Helm, held against the schemas of Kubernetes, and against what the worker promises."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator

from relationship_worker.messages.outgoing import INPUT_TOPICS
from relationship_worker.settings import Settings, environment_name
from system.test_health import PAGES

PROJECT = Path(__file__).parents[2]
CHART = PROJECT / "deploy" / "helm" / "relationship-worker"
HELM = PROJECT / ".tools" / "bin" / "helm"
OLDEST, NEWEST = "1.27", "1.37"  # of Kubernetes; the oldest is what the chart asks for
EVERYTHING = (
    "serviceMonitor.enabled=true",
    "prometheusRule.enabled=true",
    "autoscaling.enabled=true",
    "networkPolicy.scrapedFrom.matchLabels.name=monitoring",
    "database.filesSecretName=runtime",
    "database.workerRole=worker",
    "settings.RELATIONSHIP_WORKER_GROUP=orders-eu",
    "settings.RELATIONSHIP_WORKER_TOPIC_PREFIX=eu.",
    "kafka.clientCertificate=true",
)
CUSTOM = PROJECT / "tests" / "data" / "crds"  # what operators define: Kubernetes' own schemas have none of it


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert HELM.exists(), "Helm is missing: make tools"
    return subprocess.run([HELM, *arguments], capture_output=True, text=True, check=False)


def template(*values: str, chart: Path = CHART) -> subprocess.CompletedProcess[str]:
    given = [argument for value in values for argument in ("--set", value)]
    return helm("template", "w", str(chart), "--kube-version", OLDEST, *given)


def rendered(*values: str, chart: Path = CHART) -> dict[str, dict[str, Any]]:
    """What the chart makes, by kind."""
    ended = template(*values, chart=chart)
    assert ended.returncode == 0, ended.stderr
    documents = [document for document in yaml.safe_load_all(ended.stdout) if document]
    assert len({document["kind"] for document in documents}) == len(documents)
    return {document["kind"]: document for document in documents}


def containers(made: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [c for kind in ("Deployment", "Job") for c in made[kind]["spec"]["template"]["spec"]["containers"]]


@pytest.mark.parametrize("values", [(), EVERYTHING])
def test_helm_finds_nothing_to_complain_of(values: tuple[str, ...]):
    ended = helm("lint", "--strict", str(CHART), *(argument for value in values for argument in ("--set", value)))

    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("values", [(), EVERYTHING])
def test_what_it_makes_fits_the_schemas_of_kubernetes(values: tuple[str, ...], version: str):
    for kind, document in rendered(*values).items():
        if kind not in schemas_of_operators():
            kubernetes_validate.validate(document, version, strict=True)


@cache
def schemas_of_operators() -> dict[str, dict[str, Any]]:
    """By kind, as an API server holds documents against them that is asked to be strict."""
    definitions = [yaml.safe_load(file.read_text("utf-8")) for file in sorted(CUSTOM.glob("*.yaml"))]
    return {
        definition["spec"]["names"]["kind"]: strict(version["schema"]["openAPIV3Schema"])
        for definition in definitions
        for version in definition["spec"]["versions"]
        if version["storage"]
    }


def strict(schema: Any) -> Any:
    """Fields that the definition does not know are refused, and not dropped in silence."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(part) for name, part in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made


def mistakes(document: dict[str, Any]) -> list[str]:
    """Where a document of an operator does not fit."""
    schema = schemas_of_operators()[document["kind"]]
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(document)]


def test_what_it_makes_for_operators_fits_their_definitions():
    made = rendered(*EVERYTHING)

    for kind in schemas_of_operators():
        assert mistakes(made[kind]) == []


def test_keda_reaches_kafka_as_the_worker_does():
    made = rendered(*EVERYTHING)

    for trigger in made["ScaledObject"]["spec"]["triggers"]:
        assert (trigger["metadata"]["tls"], trigger["metadata"]["sasl"]) == ("enable", "scram_sha512")
        assert trigger["authenticationRef"]["name"] == made["TriggerAuthentication"]["metadata"]["name"]
    given = {ref["parameter"]: ref["key"] for ref in made["TriggerAuthentication"]["spec"]["secretTargetRef"]}
    files = {"ca": "ca.crt", "cert": "tls.crt", "key": "tls.key"}
    assert given == {**files, "username": "username", "password": "password"}


def test_keda_needs_nothing_where_kafka_asks_for_nothing():
    made = rendered("autoscaling.enabled=true", "kafka.securityProtocol=PLAINTEXT", "kafka.saslMechanism=")

    assert "TriggerAuthentication" not in made
    assert all("authenticationRef" not in trigger for trigger in made["ScaledObject"]["spec"]["triggers"])
    assert mistakes(made["ScaledObject"]) == []


def test_keda_and_a_token_file_do_not_go_together_unless_it_is_told_how():
    by_token = ("autoscaling.enabled=true", "kafka.saslMechanism=OAUTHBEARER")
    made = rendered(*by_token, "autoscaling.authenticationName=ours")

    assert "autoscaling.authenticationName" in template(*by_token).stderr
    assert "TriggerAuthentication" not in made
    assert {t["authenticationRef"]["name"] for t in made["ScaledObject"]["spec"]["triggers"]} == {"ours"}


@pytest.mark.parametrize(
    ("kind", "was", "is_"),
    [
        ("ServiceMonitor", "endpoints", "endpoint"),
        ("PrometheusRule", "expr", "query"),
        ("ScaledObject", "maxReplicaCount", "maxReplicas"),
        ("TriggerAuthentication", "parameter", "parametre"),
    ],
)
def test_a_field_that_an_operator_does_not_know_is_seen(kind: str, was: str, is_: str):
    document = yaml.safe_dump(rendered(*EVERYTHING)[kind])
    assert was in document

    assert mistakes(yaml.safe_load(document.replace(f"{was}:", f"{is_}:"))) != []


def test_a_mistake_in_a_template_is_seen(tmp_path: Path):
    broken = tmp_path / "chart"
    shutil.copytree(CHART, broken)
    template = broken / "templates" / "podDisruptionBudget.yaml"
    template.write_text(template.read_text("utf-8").replace("maxUnavailable:", "maxUnavailible:"))

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(rendered(chart=broken)["PodDisruptionBudget"], NEWEST, strict=True)


def test_every_container_is_nobody_on_a_read_only_root_without_rights():
    made = rendered(*EVERYTHING)
    for kind in ("Deployment", "Job"):
        pod = made[kind]["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
    for container in containers(made):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "command" not in container  # the image's own: no shell
        assert container["resources"]["limits"]["memory"] == "512Mi"


def test_every_variable_is_a_setting_of_the_worker_and_no_secret_is_a_value():
    names = {environment_name(field) for field in Settings.model_fields}
    for container in containers(rendered(*EVERYTHING)):
        given = {variable["name"]: variable for variable in container["env"]}
        assert set(given) <= names
        assert "valueFrom" in given["DATABASE_URL"]
        assert given["RELATIONSHIP_WORKER_GROUP"]["value"] == "orders-eu"


def test_probes_ask_for_pages_that_the_worker_shows():
    [worker] = rendered()["Deployment"]["spec"]["template"]["spec"]["containers"]
    asked = {probe: worker[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}

    assert {get["path"] for get in asked.values()} <= set(PAGES)
    assert asked["readinessProbe"]["path"] == "/health/ready"
    assert asked["livenessProbe"]["path"] == "/health/live"
    assert worker["ports"] == [{"name": "http", "containerPort": 9464}]


def test_the_migration_comes_before_the_workers_and_may_have_a_role_of_its_own():
    job = rendered("database.migrationSecretName=owner")["Job"]
    [container] = job["spec"]["template"]["spec"]["containers"]

    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert container["args"] == ["init"]
    assert container["env"][0]["valueFrom"]["secretKeyRef"]["name"] == "owner"


def test_secrets_of_postgresql_are_files_and_those_of_the_migration_are_its_own():
    made = rendered(
        "database.filesSecretName=runtime", "database.migrationFilesSecretName=owner", "database.workerRole=worker"
    )
    for kind, secret in (("Deployment", "runtime"), ("Job", "owner")):
        pod = made[kind]["spec"]["template"]["spec"]
        [container] = pod["containers"]
        [volume] = [one for one in pod["volumes"] if one["secret"]["secretName"] == secret]
        [mount] = [one for one in container["volumeMounts"] if one["name"] == volume["name"]]
        given = {variable["name"]: variable.get("value") for variable in container["env"]}
        assert mount["readOnly"]
        assert given["RELATIONSHIP_WORKER_DATABASE_CA_FILE"] == f"{mount['mountPath']}/ca.crt"
        assert given["RELATIONSHIP_WORKER_DATABASE_PASSWORD_FILE"] == f"{mount['mountPath']}/password"
        assert given.get("RELATIONSHIP_WORKER_DATABASE_WORKER_ROLE") == ("worker" if kind == "Job" else None)


def test_autoscaling_goes_by_the_groups_lag_on_every_input_topic():
    made = rendered(*EVERYTHING)
    asked = [trigger["metadata"] for trigger in made["ScaledObject"]["spec"]["triggers"]]

    assert {metadata["topic"] for metadata in asked} == {f"eu.{topic}" for topic in INPUT_TOPICS}
    assert {metadata["consumerGroup"] for metadata in asked} == {"orders-eu"}
    assert "replicas" not in made["Deployment"]["spec"]  # one of the two says how many


def test_the_rules_in_the_chart_are_the_alerts():
    alerts = yaml.safe_load((PROJECT / "deploy" / "prometheus" / "alerts.yaml").read_text("utf-8"))

    assert rendered(*EVERYTHING)["PrometheusRule"]["spec"] == alerts


def test_a_worker_can_reach_what_it_needs_and_only_the_scrape_reaches_it():
    policy = rendered(*EVERYTHING)["NetworkPolicy"]["spec"]
    out = [(p["protocol"], p["port"]) for rule in policy["egress"] for p in rule["ports"]]

    assert [p["port"] for rule in policy["ingress"] for p in rule["ports"]] == [9464]
    assert policy["ingress"][0]["from"] == [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]
    assert set(out) == {("UDP", 53), ("TCP", 53), ("TCP", 9093), ("TCP", 5432)}


@pytest.mark.parametrize(
    ("values", "files"),
    [
        ((), {"ca.crt", "password"}),
        (("kafka.saslMechanism=OAUTHBEARER",), {"ca.crt", "token"}),
        (("kafka.securityProtocol=SSL", "kafka.clientCertificate=true"), {"ca.crt", "tls.crt", "tls.key"}),
        (("kafka.securityProtocol=PLAINTEXT", "settings.RELATIONSHIP_WORKER_INSECURE=1"), set()),
    ],
)
def test_what_the_worker_shows_to_kafka_comes_from_files_of_a_secret(values: tuple[str, ...], files: set[str]):
    made = rendered(*values, "kafka.migrationSecretName=of-init")

    secrets = []
    for kind in ("Deployment", "Job"):
        pod = made[kind]["spec"]["template"]["spec"]
        [container] = pod["containers"]
        named = {e["value"] for e in container["env"] if "_KAFKA_" in e["name"] and e["name"].endswith("_FILE")}
        mounts = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
        assert {Path(file).name for file in named} == files
        assert {str(Path(file).parent) for file in named} == set(mounts)
        secrets += [volume["secret"]["secretName"] for volume in pod.get("volumes", [])]
    assert secrets == (["relationship-worker-kafka", "of-init"] if files else [])
