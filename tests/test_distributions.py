"""The three distributions, from their wheels: each installs and imports alone."""

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

ROOT = Path(__file__).parents[1]
FOLDERS = {"glore-client": "clients/python", "glore": "service", "glore-models": "models"}
PACKAGES = {name: name.replace("-", "_") for name in FOLDERS}
# what a module imports -> what is installed for it, where the two have different names
BRING = {"pydantic_core": "pydantic", "reasoning_gym": "reasoning-gym", "pyarrow": "ray"}
BRING |= {"opentelemetry": "opentelemetry-api"}
BRING |= {package: name for name, package in PACKAGES.items()}
# installed for what is found by name: uvicorn's loop, the files of Swagger UI
BY_NAME = {"fastapi-offline", "uvloop"}
EVERY_MODULE = """
import glore, importlib, pkgutil
extras = {"glore.batches.postgres", "glore.api.tracing"}
extras |= {f"glore.telemetry.{each}" for each in ("exporting", "spans", "traced")}
for module in pkgutil.walk_packages(glore.__path__, "glore."):
    if module.name not in extras:
        importlib.import_module(module.name)
"""
# torch is no requirement: its CPU build has a file of its own (CONTRIBUTING.md)
APART = {"torch"}


def project(name: str) -> dict[str, Any]:
    content = tomllib.loads((ROOT / FOLDERS[name] / "pyproject.toml").read_text(encoding="utf-8"))
    found: dict[str, Any] = content["project"]
    return found


def names_of(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~ ]", each)[0] for each in requirements}


def imports(name: str) -> Iterator[str]:
    """The packages that a distribution imports anywhere in its modules."""
    folder = ROOT / FOLDERS[name] / "src" / PACKAGES[name]
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (each.name.partition(".")[0] for each in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_distribution_names_what_it_imports_and_nothing_else(name: str) -> None:
    given = project(name)
    wanted = names_of(given["dependencies"])
    extras = set().union(*map(names_of, given.get("optional-dependencies", {}).values()))
    modules = set(imports(name)) - sys.stdlib_module_names - {PACKAGES[name], "_typeshed"}
    imported = {BRING.get(each, each).replace("_", "-") for each in modules}
    assert imported - wanted - extras <= APART
    assert wanted <= imported | BY_NAME


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The wheel of each distribution."""
    found = {}
    for name, folder in FOLDERS.items():
        out = tmp_path_factory.mktemp(PACKAGES[name])
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
        subprocess.run(command, cwd=ROOT / folder, check=True, capture_output=True)
        (found[name],) = out.glob("*.whl")
    return found


@pytest.mark.parametrize("name", FOLDERS)
def test_a_wheel_holds_its_package_alone(wheels: Mapping[str, Path], name: str) -> None:
    with zipfile.ZipFile(wheels[name]) as wheel:
        files = wheel.namelist()
    tops = {file.partition("/")[0] for file in files}
    version = metadata.version(name)
    assert tops == {PACKAGES[name], f"{PACKAGES[name]}-{version}.dist-info"}
    assert any(file.endswith("licenses/LICENSE") for file in files)
    if name == "glore-models":
        assert "glore_models/bundle/head.safetensors" in files
        assert not any("/kept/" in file for file in files)
    else:
        assert wheels[name].stat().st_size < 1_000_000


def test_each_runs_in_an_environment_of_its_own(wheels: Mapping[str, Path], tmp_path: Path) -> None:
    """The client alone, then the gateway, then the models: what the step before lacks is named."""
    python = tmp_path / "bin" / "python"
    uv = find_uv_bin()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install(name: str) -> None:
        lock = str(ROOT / "requirements" / "all.txt")
        options = ["--python", str(python), "--constraint", lock, "--quiet"]
        run(uv, "pip", "install", *options, str(wheels[name]))

    run(uv, "venv", "--quiet", "--python", sys.executable, str(tmp_path))
    install("glore-client")
    run(str(python), "-c", "import glore_client; glore_client.Client('http://x').close()")
    install("glore")
    glore = str(tmp_path / "bin" / "glore")
    run(str(python), "-c", EVERY_MODULE)
    assert "GLORE_" in run(glore, "serve", "--help")
    done = subprocess.run(
        [glore, "up"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("glore: `glore up` needs glore-models, which is not installed")
    install("glore-models")
    said = run(glore, "up", "--dry-run", "--cache", str(tmp_path / "cache"))
    assert "# gateway" in said
    listed = run(uv, "pip", "list", "--python", str(python))
    assert not re.search(r"^(torch|vllm|transformers) ", listed, re.MULTILINE)
