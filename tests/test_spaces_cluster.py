"""The files of a cluster: what they say fits together, and what they start is what the program takes."""

from __future__ import annotations

import argparse
import copy
import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from pipelines.catalogue.known import KNOWN
from pipelines.options import add_model

CLUSTER = Path(__file__).resolve().parent.parent / "spaces" / "cluster"
COMPOSE = yaml.safe_load((CLUSTER / "compose.yaml").read_text())
KUBERNETES = list(yaml.safe_load_all((CLUSTER / "kubernetes.yaml").read_text()))


ROWS = re.findall(
    r"^\| (\w+) \| (.+), (\d+) GB, ([\d.]+) TB/s \| (\d+) \| (\d+) \| (\S+) \| (\d+) \|$",
    (CLUSTER / "README.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def of_kind(kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        item for item in KUBERNETES if (item["kind"], item["metadata"]["name"]) == (kind, name)
    )
    return found


def container(name: str) -> dict[str, Any]:
    found: dict[str, Any] = of_kind("Deployment", name)["spec"]["template"]["spec"]["containers"][0]
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} on {row[1]}")
def test_the_table_of_sizes_is_what_the_shapes_come_to(row: tuple[str, ...]) -> None:
    """Its formulas, with the weights and states that the configs tell: 8,192 tokens reserved, 4,096 of them in use."""
    shape = next(model.shape for model in KNOWN if model.name == row[0])
    memory_bytes, bytes_per_s = float(row[2]) * 1e9, float(row[3]) * 1e12
    once = shape.step_bytes("bf16", 0) - 2 * shape.visitor_bytes(0, "bf16")
    each = shape.visitor_bytes(4096, "bf16") + shape.visitor_bytes(0, "bf16")
    visitors = int((0.9 * memory_bytes - shape.weight_bytes("bf16") - 2e9) / shape.visitor_bytes(8192, "bf16"))
    rates = [bytes_per_s / (once + count * each) for count in (1, 16, visitors)]
    told = [str(visitors), *(f"{rate:.0f}" for rate in rates)]
    assert list(row[4:]) == [*told[:2], told[2] if visitors >= 16 else "–", told[3]]


@pytest.mark.parametrize("item", KUBERNETES, ids=lambda item: f"{item['kind']} {item['metadata']['name']}")
@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_kubernetes_takes_every_object_as_it_is_written(item: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(item, version, strict=True)


def test_a_wrong_object_would_be_found() -> None:
    wrong = copy.deepcopy(of_kind("Deployment", "page"))
    wrong["spec"]["replicass"] = 3
    with pytest.raises(kubernetes_validate.ValidationError, match="replicass"):
        kubernetes_validate.validate(wrong, "1.37", strict=True)


def test_compose_takes_the_file_as_it_is_written() -> None:
    text = (CLUSTER / "compose.yaml").read_text(encoding="utf-8")
    PyCompose.from_yaml(text).validate()
    with pytest.raises(ValueError, match="ipcc"):
        PyCompose.from_yaml(text.replace("ipc: host", "ipcc: host"))


@pytest.mark.parametrize(
    "command",
    [COMPOSE["services"]["vllm"]["command"], container("vllm")["args"]],
    ids=["compose", "kubernetes"],
)
def test_vllm_takes_whole_clips_and_tells_thoughts_apart(command: list[str]) -> None:
    options = dict(option.removeprefix("--").partition("=")[::2] for option in command)
    assert json.loads(options["media-io-kwargs"]) == {"video": {"num_frames": -1}}
    assert json.loads(options["speculative-config"])["method"] == "mtp"
    assert options["reasoning-parser"] == "qwen3"
    assert {"enable-prefix-caching", "tensor-parallel-size", "data-parallel-size"} <= set(options)


@pytest.mark.parametrize(
    "command",
    [COMPOSE["services"]["page"]["command"], container("page")["args"]],
    ids=["compose", "kubernetes"],
)
def test_the_page_asks_vllm_by_options_that_it_has(command: list[str]) -> None:
    assert command[:2] == ["python", "app.py"]
    parser = argparse.ArgumentParser()
    add_model(parser)
    options, left = parser.parse_known_args(command[2:])
    assert (options.engine, options.base_url) == ("openai", "http://vllm:8000/v1")
    assert {option for option in left if option.startswith("--")} == {"--public", "--behind-proxy", "--allow-host"}


def test_each_variable_of_compose_is_told() -> None:
    """Nothing told HOST, without which the page is refused by any name but localhost."""
    text, readme = ((CLUSTER / name).read_text(encoding="utf-8") for name in ("compose.yaml", "README.md"))
    variables = set(re.findall(r"\$\{(\w+)", text))
    assert "HOST" in variables
    for name in variables:
        assert re.search(rf"^# .*\b{name}\b", text, re.MULTILINE), name
        assert f"{name}=" in readme, name


def test_services_reach_what_they_name() -> None:
    for name in ("vllm", "page"):
        service, deployment = of_kind("Service", name), of_kind("Deployment", name)
        assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
        ports = {port["containerPort"] for port in container(name)["ports"]}
        assert {port["port"] for port in service["spec"]["ports"]} == ports
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container(name)[probe]["httpGet"]["port"] in ports
    rule = of_kind("Ingress", "page")["spec"]["rules"][0]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": "page", "port": {"number": 7860}}
    assert rule["host"] in container("page")["args"]
    assert of_kind("Ingress", "page")["metadata"]["annotations"]["nginx.ingress.kubernetes.io/affinity"] == "cookie"


def test_vllm_is_told_nothing_of_the_service_that_has_its_name() -> None:
    """Kubernetes put VLLM_PORT=tcp://... into the environment of its pod, and vLLM did not start."""
    assert of_kind("Deployment", "vllm")["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_compose_builds_what_is_there_and_keeps_visitors_with_one_copy() -> None:
    build = COMPOSE["services"]["page"]["build"]
    root = (CLUSTER / build["context"]).resolve()
    assert (root / build["dockerfile"]).is_file()
    assert (root / "app.py").is_file()
    assert "lb_policy cookie" in COMPOSE["configs"]["caddyfile"]["content"]
    assert COMPOSE["services"]["page"]["depends_on"]["vllm"]["condition"] == "service_healthy"
    assert container("vllm")["image"] == COMPOSE["services"]["vllm"]["image"]
    assert "Qwen/Qwen3.5-9B" in {model.hub_id for model in KNOWN}
