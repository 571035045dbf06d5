"""Alerts and dashboard ask for metrics that exist, and every alert has its section in the runbook."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.queries import mistakes, samples

PROJECT = Path(__file__).parents[2]
DEPLOY = PROJECT / "deploy"
PROMTOOL = PROJECT / ".tools" / "bin" / "promtool"


def alerts() -> list[dict[str, Any]]:
    [group] = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text("utf-8"))["groups"]
    return list(group["rules"])


def queries_of_the_dashboard() -> list[str]:
    dashboard = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text("utf-8"))
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]


def sections_of_the_runbook() -> list[str]:
    return re.findall(r"^### (\w+)$", (DEPLOY / "runbook.md").read_text("utf-8"), re.MULTILINE)


def promtool(*arguments: str, folder: Path = DEPLOY / "prometheus") -> subprocess.CompletedProcess[str]:
    assert PROMTOOL.exists(), "promtool is missing: make tools"
    return subprocess.run([PROMTOOL, *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "asked",
    [("check", "config", "prometheus.yaml"), ("check", "rules", "alerts.yaml"), ("test", "rules", "alerts.test.yaml")],
)
def test_promtool_is_content(asked: tuple[str, ...]):
    ended = promtool(*asked)

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_promtool_sees_an_alert_that_would_fire_too_late(tmp_path: Path):
    for name in ("alerts.yaml", "alerts.test.yaml"):
        text = (DEPLOY / "prometheus" / name).read_text("utf-8")
        (tmp_path / name).write_text(re.sub(r"for: \d+m", "for: 9h", text) if name == "alerts.yaml" else text, "utf-8")

    assert promtool("test", "rules", "alerts.test.yaml", folder=tmp_path).returncode != 0


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_asks_for_what_the_worker_tells(alert: dict[str, Any]):
    assert mistakes(alert["expr"]) == []
    assert set(alert) <= {"alert", "expr", "for", "labels", "annotations"}
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert re.fullmatch(r"\d+[mh]", alert.get("for", "1m"))


def test_every_alert_has_its_section_in_the_runbook_and_every_section_its_alert():
    names = [alert["alert"] for alert in alerts()]
    assert sections_of_the_runbook() == names
    for alert in alerts():
        assert alert["annotations"]["runbook"] == f"runbook.md#{alert['alert'].lower()}"


def test_every_alert_has_series_on_which_it_fires_and_some_on_which_it_does_not():
    """promtool holds the alerts against these series: see `test_promtool_is_content`."""
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.test.yaml").read_text("utf-8"))["tests"]
    cases = [case for group in groups for case in group["alert_rule_test"]]
    fires = {case["alertname"]: case["exp_alerts"][0] for case in cases if case["exp_alerts"]}

    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == set(fires)
    assert set(fires) == {alert["alert"] for alert in alerts()}
    for alert in alerts():
        told = fires[alert["alert"]]
        assert told["exp_labels"].items() >= alert["labels"].items()
        assert told["exp_annotations"]["runbook"] == alert["annotations"]["runbook"]


def test_the_labels_that_a_summary_names_are_those_that_its_alert_keeps():
    for alert in alerts():
        named = set(re.findall(r"\$labels\.(\w+)", alert["annotations"]["summary"]))
        by = re.findall(r"by \(([^)]*)\)", alert["expr"])
        kept = {label.strip() for some in by for label in some.split(",")} if by else {"topic", "partition"}
        assert named <= kept, alert["alert"]


def test_the_dashboard_asks_for_what_the_worker_tells():
    asked = queries_of_the_dashboard()
    assert len(asked) > 30
    assert [(query, wrong) for query in asked if (wrong := mistakes(query))] == []


def test_every_metric_of_the_worker_is_on_the_dashboard_or_in_an_alert():
    asked = " ".join([*queries_of_the_dashboard(), *(alert["expr"] for alert in alerts())])
    own = {name for name in samples() if name.startswith("relationship_worker_")}
    families = {re.sub(r"_(total|created|bucket|count|sum)$", "", name) for name in own}
    assert [family for family in sorted(families) if family not in asked] == []


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("sum by (topic) (relationship_worker_lag_recordz)", "no metric"),
        ('relationship_worker_lag_records{supplier="x"}', "no label supplier"),
        ("sum by (supplier) (relationship_worker_lag_records)", "nothing in it has the label supplier"),
        ("sum(rate(relationship_worker_orders_total))", "no PromQL"),
        ("relationship_worker_ready ==", "no PromQL"),
        ("histogram_quantile(0.9, rate(relationship_worker_order_answer_seconds[5m]))", "no metric"),
    ],
)
def test_a_mistake_in_a_query_is_seen(query: str, says: str):
    assert any(says in wrong for wrong in mistakes(query)), mistakes(query)
