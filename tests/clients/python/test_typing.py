"""What a program that uses the client sees of its types."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import glore_client

CONSUMER = Path(__file__).with_name("consumer.py")
SOURCE = Path(glore_client.__file__).parents[1]
CACHE = Path(__file__).parents[3] / ".mypy_cache" / "consumer"


@pytest.mark.timeout(600)  # without a cache, mypy reads pydantic and httpx2 first
def test_every_public_name_is_typed_for_a_strict_consumer(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file="]
    done = subprocess.run(
        [*command, "--cache-dir", str(CACHE), str(CONSUMER)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(SOURCE)},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_consumer_uses_every_public_name() -> None:
    names = [
        node.id for node in ast.walk(ast.parse(CONSUMER.read_text())) if isinstance(node, ast.Name)
    ]
    assert set(glore_client.__all__) <= set(names)


def test_the_distribution_says_that_it_is_typed() -> None:
    assert (Path(glore_client.__file__).parent / "py.typed").is_file()
