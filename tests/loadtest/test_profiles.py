"""The short form of every profile against real gateways on simulated engines.

Times are not judged here: the limits of times are wide, and the machine may be busy. What must
hold is that every request is accounted for, and that the service refuses and recovers as it should.
"""

from pathlib import Path

import pytest

from loadtest.profiles.definitions import PROFILES
from tests.loadtest.profiled import Profiled, profiled

SIGNATURE_PNG = b"\x89PNG"


@pytest.mark.parametrize("name", PROFILES)
async def test_a_profile_passes(name: str, tmp_path: Path) -> None:
    done = await profiled(name, tmp_path)
    assert done.broken == set(), done.said
    assert done.status == 0, done.said
    assert done.said.endswith(f"{name}: passed\n")
    accounted_for(done)
    assert (tmp_path / f"{name}.png").read_bytes().startswith(SIGNATURE_PNG)
    text = (tmp_path / f"{name}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# Load profile `{name}`: passed\n")
    assert all(f"`{limit.name}`" in text for limit in PROFILES[name].limits)


def accounted_for(done: Profiled) -> None:
    """Each request that was sent has an outcome, and each answer the times of its parts."""
    found = done.all
    assert found["lost"] == 0
    assert found["requests"] == found["answered"] + found["refused"] + found["failed"] > 0
    assert sum(done.report["not_answered"].values()) == found["refused"] + found["failed"]
    assert 0 < found["first_text_p95"] <= found["draft_p95"] <= found["answer_p99"]
    assert len(done.report["samples"]) > 1
