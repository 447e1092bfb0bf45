"""Every command and program in the pages runs here, or says why it does not."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import AnyHttpUrl, SecretStr

from glore.app import create_app
from glore.role_settings import EngineSettings
from glore.settings import Settings
from glore.variables import PREFIX
from loadtest.simulation.server import running
from loadtest.simulation.settings import Simulated, Timing
from tests.docs.blocks import BASH, COMMANDS, SHOWN, Block, blocks
from tests.docs.pages import ROOT
from tests.service.listening import listening

BLOCKS = list(blocks())
RUN = [block for block in BLOCKS if (block.said or {}).get("runs")]
LIMIT_S = 60.0  # ends a test that hangs; generous, for machines that are busy
ADDRESS = "http://127.0.0.1:8000"  # of the gateway, in the pages
AT_ONCE = Timing(first_token=0.0, between_tokens=0.0, per_request=0.0, spread=0.0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def addresses(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[str, str]]:
    """Those of a gateway and of its simulated engine."""
    store = SecretStr(f"sqlite:///{tmp_path_factory.mktemp('store') / 'batches.sqlite3'}")
    async with running(Simulated(timing=AT_ONCE)) as (_, url):
        engine = EngineSettings(url=AnyHttpUrl(url))
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith(PREFIX)]:
                patch.delenv(name)
            settings = Settings(
                generation=engine, scoring=engine, threshold=0.5, store=store, probe_timeout=30.0
            )
        async with listening(create_app(settings)) as port:
            yield f"http://127.0.0.1:{port}", url


@pytest.fixture
def environment(tmp_path: Path, addresses: tuple[str, str]) -> dict[str, str]:
    """That of a shell in which `glore`, `python` and `curl` are found; settings name addresses."""
    gateway, engine = addresses
    programs = tmp_path / "bin"
    programs.mkdir()
    curl = shutil.which("curl")
    assert curl, "curl is missing; on Debian and Ubuntu: apt-get install curl"
    commands = {
        "glore": f"{sys.executable} -m glore.cli",
        "python": sys.executable,
        "curl": f"{curl} --fail-with-body",  # so that an answer with an error fails
    }
    for name, command in commands.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    stored = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return stored | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
        "GLORE_URL": gateway,
        "GLORE_GENERATION__URL": engine,
        "GLORE_SCORING__URL": engine,
        "XDG_STATE_HOME": str(tmp_path),
        "NO_COLOR": "1",
    }


@pytest.mark.parametrize("block", BLOCKS, ids=[block.name for block in BLOCKS])
def test_a_block_says_how_it_is_tested(block: Block) -> None:
    if block.language not in COMMANDS:
        assert block.language in SHOWN, "a block names its language"
        return
    said = block.said
    assert said, "a command has a mark in the line before it, as tests/docs/blocks.py says"
    if "elsewhere" in said:
        test = (ROOT / said["elsewhere"]).read_text(encoding="utf-8")
        assert block.page.name in test, "that test does not read this page"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("block", RUN, ids=[block.name for block in RUN])
async def test_a_command_does_what_the_page_says(
    block: Block, environment: dict[str, str], addresses: tuple[str, str], tmp_path: Path
) -> None:
    command = ["bash", "-euo", "pipefail", "-c"] if block.language == BASH else ["python", "-c"]
    process = await asyncio.create_subprocess_exec(
        *command,
        block.text.replace(ADDRESS, addresses[0]),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
        cwd=tmp_path,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    printed = output.decode()
    assert process.returncode == 0, printed
    assert (block.said or {}).get("prints", "") in printed
