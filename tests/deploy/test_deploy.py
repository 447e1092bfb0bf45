"""What `deploy/` and the Dockerfile say: valid by their schemas, and true of this gateway."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from glore.settings import Settings
from glore.variables import names_of
from glore_models.serving.bundle import SHIPPED, chosen_bundle
from glore_models.serving.engines import ROLES_OF
from loadtest.simulator import parsed

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return content


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted(KUBERNETES.glob("*.yaml")):
        for each in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            yield f"{file.name} {each['kind']}", each


OBJECTS = dict(manifests())
OF_OPERATORS = {"ServiceMonitor", "Kustomization"}  # no kinds of Kubernetes itself


@pytest.mark.parametrize("name", [n for n in OBJECTS if n.split()[1] not in OF_OPERATORS])
def test_a_manifest_is_valid_for_kubernetes(name: str) -> None:
    kubernetes_validate.validate(OBJECTS[name], "1.33", strict=True)


def test_the_kustomization_names_files_that_are_there() -> None:
    for name in OBJECTS["kustomization.yaml Kustomization"]["resources"]:
        assert (KUBERNETES / name).is_file()


def test_manifests_fit_each_other() -> None:
    deployment = OBJECTS["gateway.yaml Deployment"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    service = OBJECTS["gateway.yaml Service"]["spec"]
    ports = {each["name"] for each in deployment["template"]["spec"]["containers"][0]["ports"]}
    assert service["selector"].items() <= labels.items()
    assert {each["targetPort"] for each in service["ports"]} <= ports
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        spec = OBJECTS[f"gateway.yaml {kind}"]["spec"]
        assert (
            spec.get("selector", spec.get("podSelector"))["matchLabels"].items() <= labels.items()
        )
    monitor = OBJECTS["monitoring.yaml ServiceMonitor"]["spec"]
    assert {each["port"] for each in monitor["endpoints"]} <= {p["name"] for p in service["ports"]}
    secret = OBJECTS["secret.example.yaml Secret"]["stringData"]
    pod = deployment["template"]["spec"]
    (keys,) = (each["secret"]["items"] for each in pod["volumes"] if "secret" in each)
    references = {e["valueFrom"]["secretKeyRef"]["key"] for e in pod["containers"][0]["env"][1:]}
    assert {each["key"] for each in keys} | references == set(secret)


def test_the_compose_file_is_valid_and_its_files_are_there() -> None:
    text = json.dumps(compose())  # with YAML's anchors resolved
    PyCompose.from_json(re.sub(r"\$\{\w+:[?-][^}]*\}", "/given", text))
    for service in compose()["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source


def test_the_simulator_of_the_compose_file_stands_for_both_engines() -> None:
    services = compose()["services"]
    simulator, gateway = services["simulator"], services["gateway"]
    aliases = simulator["networks"]["default"]["aliases"]
    assert set(aliases) == set(ROLES_OF) == set(gateway["depends_on"])
    command = simulator["command"]
    port = command[command.index("--port") + 1]
    urls = [gateway["environment"][f"GLORE_{name.upper()}__URL"] for name in aliases]
    assert urls == [f"http://{name}:{port}" for name in aliases]
    assert simulator["entrypoint"] == ["python", "-m", "loadtest.simulator"]
    assert parsed(command)[1:] == ("0.0.0.0", int(port))  # noqa: S104 - in a container


def environments() -> Iterator[tuple[str, dict[str, str]]]:
    yield "compose", compose()["services"]["gateway"]["environment"]
    yield "kubernetes", OBJECTS["gateway.yaml ConfigMap"]["data"]
    lines = re.findall(r"^\s*(?:ENV )?(GLORE_\w+)=(\S+?)(?: \\)?$", DOCKERFILE, re.MULTILINE)
    yield "Dockerfile", {k: v for k, v in lines if k != "GLORE_CACHE"}


ENVIRONMENTS = dict(environments())


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_variable_is_a_setting_with_a_value_that_it_takes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ENVIRONMENTS[name]
    assert given
    assert set(given) <= set(names_of(Settings))
    for key, value in given.items():
        if not value.startswith("${"):
            monkeypatch.setenv(key, value)
    Settings()


@pytest.mark.parametrize("name", ["compose", "kubernetes"])
def test_the_thresholds_are_those_of_the_models_that_ship(name: str) -> None:
    """The image of the gateway holds no models, so it cannot look them up."""
    shipped = json.loads((SHIPPED / "thresholds.json").read_text(encoding="utf-8"))
    given = ENVIRONMENTS[name]
    assert float(given["GLORE_THRESHOLD"]) == shipped["first_error"]
    assert float(given["GLORE_GATE"]) == shipped["gate"]


@pytest.mark.parametrize("engine", ["generation", "scoring"])
def test_an_engine_of_the_compose_file_serves_its_roles(engine: str) -> None:
    command = compose()["services"][engine]["command"]
    adapters = dict(each.split("=", 1) for each in command[command.index("--lora-modules") + 1 :])
    roles = [role for role in ROLES_OF[engine] if role != "student"]
    assert adapters == {role: f"/bundle/{role}" for role in roles}
    (rank,) = (each.split("=")[1] for each in command if each.startswith("--max-lora-rank="))
    assert int(rank) >= chosen_bundle().max_rank(roles)


def test_a_pod_has_time_to_drain() -> None:
    pod = OBJECTS["gateway.yaml Deployment"]["spec"]["template"]["spec"]
    settings = Settings()
    seconds = settings.drain_delay + settings.grace
    assert pod["terminationGracePeriodSeconds"] >= seconds + 5
    (compose_grace,) = re.findall(r"(\d+)s", compose()["services"]["gateway"]["stop_grace_period"])
    assert int(compose_grace) >= seconds + 5


def test_the_horizontal_autoscaler_reads_a_metric_that_exists() -> None:
    (metric,) = OBJECTS["gateway.yaml HorizontalPodAutoscaler"]["spec"]["metrics"]
    reference = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    assert f"| `{metric['pods']['metric']['name']}` | gauge |" in reference


def test_hadolint_has_nothing_to_say_of_the_dockerfile() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run(
        [hadolint, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_build_context_has_what_the_dockerfile_copies_and_no_stored_run() -> None:
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sent = {each[1:] for each in patterns if each.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(?:--chown=\S+ )?(.+) \S+$", DOCKERFILE, re.MULTILINE)
    for sources in copied:
        for source in sources.split():
            if source != ".":
                assert any(source == each or source.startswith(f"{each}/") for each in sent), source
    assert not any(each.startswith("models/kept") for each in sent)
    assert all((ROOT / each).exists() for each in sent)
