"""A profile as users run it: a process, its exit status and its report."""

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.processes import ROOT, environment

LIMIT_S = 240.0  # ends a test that hangs


@dataclass(frozen=True, slots=True)
class Profiled:
    """What came out."""

    status: int
    said: str  # standard output and standard error
    report: dict[str, Any]

    @property
    def broken(self) -> set[str]:
        """The names of the limits that were not kept."""
        return {each["name"] for each in self.report["limits"] if not each["passed"]}

    @property
    def all(self) -> dict[str, float]:
        """What was measured over all phases."""
        found: dict[str, float] = self.report["measures"]["all"]
        return found


async def profiled(name: str, out: Path, *options: str, **variables: str) -> Profiled:
    """`python -m loadtest.profiles NAME --short`; `variables` are added to the environment."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtest.profiles", name, "--short", "--out", str(out), *options),
        cwd=ROOT,
        env=environment() | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    file = out / f"{name}.json"
    report = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    assert process.returncode is not None
    return Profiled(process.returncode, said.decode(), report)
