"""Every command in an installation without the packages of an extra: one line, no traceback.

The commands run in children that are forked from one process, so that what they share is
imported once; a package that is `None` in `sys.modules` cannot be imported.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from glore.installation import EXTRAS
from glore_models.data.files import write_jsonl
from glore_models.data.run_folder import RunModels
from tests.models.evaluation.paper.builders import RIGHT, WRONG, record
from tests.service.gateway import fake_gateway
from tests.service.processes import free_port

PROGRAM = """
import json, os, sys
import glore.cli
import glore.commands.ask, glore_models.commands.evaluate, glore_models.commands.paper
import glore_models.commands.train, glore.commands.serve
import glore_models.serving.up  # none of these may need an extra

def run(packages, arguments, out):
    os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    os.dup2(1, 2)
    for package in packages:
        assert package not in sys.modules, package
        sys.modules[package] = None
    sys.argv = ["glore", *arguments]
    try:
        glore.cli.main(arguments)
    except SystemExit as end:
        return end.code or 0

found = []
for packages, arguments in json.load(sys.stdin):
    child = os.fork()
    if not child:
        try:
            status = run(packages, arguments, sys.argv[1])
        except BaseException:
            import traceback
            traceback.print_exc()
            status = 70
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    found.append([status, open(sys.argv[1]).read()])
print(json.dumps(found))
"""
ALL = tuple(EXTRAS)
OF_TRAINING = tuple(name for name, extra in EXTRAS.items() if extra == "train")


@dataclass(frozen=True, slots=True)
class Ended:
    status: int
    said: str


def without(
    folder: Path, *cases: tuple[Sequence[str], Sequence[str]], **environment: str
) -> list[Ended]:
    """How each command ended without these packages."""
    requested = [[list(packages), list(arguments)] for packages, arguments in cases]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder / "said")],
        input=json.dumps(requested),
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Ended(status, said) for status, said in json.loads(done.stdout)]


def assert_names(ended: Ended, packages: Sequence[str]) -> None:
    """One line that names one of the packages and what installs it."""
    assert ended.status == 1, ended
    assert ended.said.count("\n") == 1, ended
    assert ended.said.startswith("glore: "), ended
    named = re.findall(r"needs? (\w+), which is not installed; ", ended.said)
    assert len(named) == 1, ended
    assert named[0] in packages, ended
    assert "installs it" in ended.said, ended
    assert "glore[" not in ended.said.replace(str(Path.cwd()), "")  # there is none on PyPI


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """How each command ended without some packages, by a name for it; from one process."""
    folder = tmp_path_factory.mktemp("missing")
    run = folder / "run"
    run.mkdir()
    content = {"first_error": 0.34, "orm_first_error": 0.52, "gate": 0.6}
    (run / "thresholds.json").write_text(json.dumps(content))
    records = [record(whole=RIGHT), record(RIGHT), record(WRONG, labels=(0,))]
    write_jsonl(RunModels(run).records("ei", "easy"), records)
    cache = ["--cache", str(folder / "cache")]
    train = ["train", "smoke", "--run-dir", str(folder / "new"), *cache]
    tables = ["eval", "--paper", "--run-dir", str(run), "--sets", "easy"]
    options = ("--port", "--generation-port", "--scoring-port")
    ports = [part for option in options for part in (option, str(free_port()))]
    with fake_gateway() as gateway:
        url = ["--url", gateway.url]
        cases: dict[str, tuple[Sequence[str], Sequence[str]]] = {
            **{f"train {name}": ((name,), train) for name in OF_TRAINING if name != "numpy"},
            "train": (ALL, train),
            "train ray": (("ray",), [*train, "--sampler", "ray"]),
            "train vllm": (("vllm",), [*train, "--sampler", "vllm"]),
            "tables": (ALL, tables),
            "tables tqdm": (("tqdm",), tables),
            "counted": (ALL, [*tables, "--tables-only"]),
            "ask": (ALL, ["ask", "1 + 1?", *url]),
            "key": (ALL, ["key", "alice"]),
            "measure": (ALL, ["eval", *url, "--out", str(folder / "out")]),
            "serve": (ALL, ["serve", *ports[:2]]),
            "up": (ALL, ["up", *cache, *ports]),
        }
        found = without(folder, *cases.values(), GLORE_STORE="postgresql://u:p@127.0.0.1:1/none")
    assert not (folder / "cache").exists()
    return dict(zip(cases, found, strict=True))


@pytest.mark.parametrize("name", [name for name in OF_TRAINING if name != "numpy"])
def test_training_names_each_package_that_is_missing(ended: dict[str, Ended], name: str) -> None:
    assert_names(ended[f"train {name}"], [name])


@pytest.mark.parametrize(
    ("command", "packages"),
    [
        ("train", OF_TRAINING),
        ("train ray", ["ray"]),
        ("train vllm", ["vllm"]),
        ("tables", OF_TRAINING),
        ("tables tqdm", ["tqdm"]),
        ("measure", ["reasoning_gym"]),
        ("serve", ["asyncpg"]),
    ],
)
def test_what_a_command_needs_is_one_line(
    ended: dict[str, Ended], command: str, packages: Sequence[str]
) -> None:
    assert_names(ended[command], packages)


def test_a_service_on_this_machine_says_what_it_needs(ended: dict[str, Ended]) -> None:
    assert ended["up"].status == 1
    assert "torch and vllm not installed" in ended["up"].said
    assert "Traceback" not in ended["up"].said


@pytest.mark.parametrize(
    ("command", "text"), [("ask", "Answer: "), ("key", "alice:"), ("counted", "greedy draft")]
)
def test_what_needs_no_extra_does_without(ended: dict[str, Ended], command: str, text: str) -> None:
    assert ended[command].status == 0, ended[command]
    assert text in ended[command].said
