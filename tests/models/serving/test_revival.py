"""Small processes that die like engines, and what is done about it."""

from pathlib import Path

import psutil
import pytest

from glore_models.serving.errors import ServingError
from glore_models.serving.processes import Launch
from glore_models.serving.revival import RestartPolicy, Revival
from glore_models.serving.stack import Stack, is_ready
from tests.models.serving.test_stack import SERVER, launch, silent
from tests.service.clock import ManualClock

DIES = "raise SystemExit(4)"
SLEEPS = "import time; time.sleep(600)"
POLICY = RestartPolicy(first_wait=1, longest_wait=5, starts=4, steady=100, silent=30)
LIMIT_S = 60.0


class World:
    """A stack with a scoring engine and a gateway, a clock that is moved by hand, what was said."""

    def __init__(self, logs: Path, scoring: Launch, gateway: str = SLEEPS) -> None:
        self.stack = Stack(logs)
        self.stack.start(scoring)
        self.stack.start(launch("gateway", gateway))
        self.clock = ManualClock()
        self.said: list[str] = []
        self.revival = Revival(self.stack, self.said.append, policy=POLICY, clock=self.clock)

    def wait_ended(self, name: str) -> None:
        assert self.stack.running[name].wait(LIMIT_S) is not None

    def wait_ready(self) -> None:
        self.stack.wait_ready(["scoring"], silent, LIMIT_S)


def test_waits_double_up_to_a_bound_and_end() -> None:
    assert [POLICY.wait(ends) for ends in range(1, 6)] == [1, 2, 4, 5, None]


def test_an_engine_that_dies_again_and_again_is_given_up(tmp_path: Path) -> None:
    world = World(tmp_path, launch("scoring", DIES))
    with world.stack:
        for wait in (1, 2, 4, 5):
            world.wait_ended("scoring")
            world.revival.look()
            assert "scoring" not in world.stack.running
            assert f"started again in {wait} s" in world.said[-1]
            world.clock.advance(wait - 0.1)
            world.revival.look()
            assert "scoring" not in world.stack.running
            world.clock.advance(0.1)
            world.revival.look()
            assert world.said[-1] == "scoring engine: starting again"
        world.wait_ended("scoring")
        world.revival.look()
        assert "5 times in a row, and is given up" in world.said[-1]
        world.clock.advance(1000)
        world.revival.look()
    assert len(world.said) == 9
    assert "ended (status 4)" in world.said[0]
    assert (tmp_path / "scoring.ended.log").exists()
    assert str(tmp_path / "scoring.ended.log") in world.said[-1]


def test_a_killed_engine_comes_back_and_says_so(tmp_path: Path) -> None:
    engine = launch("scoring", SERVER)
    world = World(tmp_path, engine)
    with world.stack:
        world.wait_ready()
        kill(engine)
        world.wait_ended("scoring")
        world.revival.look()
        world.clock.advance(1)
        world.revival.look()
        world.wait_ready()
        world.revival.look()
        world.revival.look()
        assert is_ready(engine)
    assert [line.partition(".")[0] for line in world.said] == [
        "scoring engine: ended (status 137)",
        "scoring engine: starting again",
        "scoring engine: ready again",
    ]


def test_an_engine_whose_log_was_taken_away_comes_back_too(tmp_path: Path) -> None:
    world = World(tmp_path, launch("scoring", DIES))
    with world.stack:
        world.wait_ended("scoring")
        (tmp_path / "scoring.log").unlink()
        world.revival.look()
        world.clock.advance(1)
        world.revival.look()
        assert world.said[-1] == "scoring engine: starting again"


def test_an_engine_that_hangs_while_it_is_started_again_is_ended(tmp_path: Path) -> None:
    started = tmp_path / "started"
    once = f"import pathlib; p = pathlib.Path({str(started)!r})\n"
    world = World(
        tmp_path / "logs",
        launch("scoring", f"{once}if not p.exists(): p.touch(); raise SystemExit(4)\n{SLEEPS}"),
    )
    with world.stack:
        world.wait_ended("scoring")
        world.revival.look()
        world.clock.advance(POLICY.first_wait)
        world.revival.look()
        world.clock.advance(POLICY.silent)
        world.revival.look()
        assert world.said[-1] == "scoring engine: starting again"
        world.clock.advance(0.1)
        world.revival.look()
        assert world.said[-1] == "scoring engine: has said nothing for 30 s, and is ended"
        world.wait_ended("scoring")
        world.revival.look()
        assert "started again in 2 s" in world.said[-1]


@pytest.mark.parametrize(("seconds", "ends"), [(99, 2), (100, 1)])
def test_what_ran_for_long_enough_begins_anew(tmp_path: Path, seconds: float, ends: int) -> None:
    engine = launch("scoring", SERVER)
    world = World(tmp_path, engine)
    with world.stack:
        for ready_for in (0, seconds):
            world.clock.advance(POLICY.first_wait)
            world.revival.look()
            world.wait_ready()
            world.revival.look()
            world.clock.advance(ready_for)
            kill(engine)
            world.wait_ended("scoring")
            world.revival.look()
    assert f"started again in {ends} s" in world.said[-1]


def test_the_end_of_the_gateway_is_the_end(tmp_path: Path) -> None:
    world = World(tmp_path, launch("scoring", SLEEPS), gateway="raise SystemExit(5)")
    with world.stack:
        world.wait_ended("gateway")
        with pytest.raises(ServingError, match="The gateway ended with status 5"):
            world.revival.look()


def test_nothing_goes_on_without_an_engine_that_is_vital(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        stack.start(launch("generation", "print('ValueError: bad weights'); raise SystemExit(4)"))
        never = RestartPolicy(starts=0)
        revival = Revival(stack, lambda _line: None, vital=["generation"], policy=never)
        assert stack.running["generation"].wait(LIMIT_S) == 4
        with pytest.raises(ServingError) as caught:
            revival.look()
    assert "was started 1 times in vain" in caught.value.problem
    assert "ValueError: bad weights" in caught.value.problem
    assert str(tmp_path / "generation.log") in caught.value.way_out


def kill(engine: Launch) -> None:
    """SIGKILL to the process that plays this engine, not to its guard."""
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if command[-1:] == [str(engine.port)] and "glore_models.serving.guard" not in command:
            process.kill()
