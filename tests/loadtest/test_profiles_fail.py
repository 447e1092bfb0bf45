"""Each profile fails when what it looks for happens, and an open loop does not wait for answers."""

import asyncio
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loadtest.processes import ROOT, environment
from loadtest.profiles.__main__ import main
from tests.loadtest.bad_service import BadService, serving
from tests.loadtest.profiled import profiled

BREAK = "python -c \"from urllib.request import *; urlopen(Request('{url}/break', b''))\""


async def test_steady_fails_with_engines_that_add_latency(tmp_path: Path) -> None:
    slow = ("--length", "0.5", "--engine", "--first-token 0.6", "--limit", "answer_p95=1")
    done = await profiled("steady", tmp_path, *slow)
    assert done.status == 1, done.said
    assert done.broken == {"answer_p95"}
    assert done.all["answer_p95"] > 1.8  # draft, refinement, ranking
    assert done.said.endswith("steady: FAILED\n")


@pytest.mark.parametrize(
    ("name", "bad", "broken"),
    [
        ("ramp", {"room": 0, "retry_after": None}, {"failed", "overload_throughput", "recovery"}),
        ("ramp", {}, {"overload.refused"}),  # where nothing is refused there was no overload
        ("spike", {"room": 0}, {"before.refused", "answer_p95", "recovery"}),
        ("soak", {"leak_bytes": 20e6}, {"memory_growth_mb"}),
        ("engine", {"answers": False, "status": 500}, {"failed", "during.refused", "recovery"}),
        ("rolling", {"cuts": True}, {"failed"}),
        ("hung", {"drafts_late": True}, {"during.draft_p95", "during.degraded"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
async def test_a_profile_fails(
    name: str, bad: dict[str, Any], broken: set[str], tmp_path: Path
) -> None:
    async with serving(BadService(**bad)) as service:
        disturb = ("--disturb", BREAK.format(url=service.url))
        limits = ("--limit", "during.draft_p95=0.4") if name == "hung" else ()
        options = ("--url", service.url, "--length", "0.3", "--rate", "8", *disturb, *limits)
        done = await profiled(name, tmp_path, *options)
    assert done.status == 1, done.said
    assert broken <= done.broken, done.said
    assert done.all["lost"] == 0


async def test_requests_do_not_wait_for_answers(tmp_path: Path) -> None:
    """Nothing is answered before all have asked, which users who wait would never do."""
    service = BadService()
    async with serving(service):
        first = await profiled("steady", tmp_path, "--url", service.url, "--rate", "2")
        count = len(service.received)
        service.meets = asyncio.Barrier(count)
        again = await profiled("steady", tmp_path, "--url", service.url, "--rate", "2")
    assert first.status == again.status == 0, again.said
    assert count == again.all["requests"] > 10
    assert math.isclose(again.all["answered"], count)


async def test_the_key_and_the_options_are_sent(tmp_path: Path) -> None:
    service = BadService()
    questions = tmp_path / "questions.txt"
    questions.write_text("How many?\nHow much?\n", encoding="utf-8")
    options = ("--length", "0.3", "--strategy", "draft", "--questions", str(questions))
    async with serving(service):
        done = await profiled("steady", tmp_path, "--url", service.url, *options, GLORE_API_KEY="k")
    assert done.status == 0, done.said
    assert service.keys == {"Bearer k"}
    assert {each["question"] for each in service.received} == {"How many?", "How much?"}
    assert {each["strategy"] for each in service.received} == {"draft"}


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("steady", "--url", "http://127.0.0.1:9"), 3, "does not answer at /livez"),
        (("steady", "--limit", "speed=1"), 2, "no limit is named speed; the limits are lost,"),
        (("engine", "--url", "http://127.0.0.1:9"), 2, "--disturb COMMAND is needed with --url"),
        (("steady", "--engine=--nothing"), 3, "unrecognized arguments: --nothing"),
    ],
)
def test_what_cannot_be_run_says_why(
    options: tuple[str, ...], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        found = main(options)
    except SystemExit as end:  # of argparse
        found = int(str(end.code))
    assert found == status
    assert said in capsys.readouterr().err


def test_only_the_generator_is_patched_by_gevent() -> None:
    code = "import sys, loadtest.profiles.__main__; sys.exit('gevent' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(), check=True)
