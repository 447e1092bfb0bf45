"""Both ways answer alike, and the other one does begin early."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from glore.refinement.runner import Engines, refine
from glore.refinement.types import Stage, Strategy
from loadtest.early_scores import EarlyScores
from loadtest.scoring_while_drafting import Profile, compare, jobs_of, main, simulated
from loadtest.simulation.settings import Timing
from tests.service.clock import ManualClock
from tests.service.refinement.fakes import FakeSorm

THRESHOLD = 0.5
QUICK = Profile(Timing(between_tokens=0.003), Timing())
(TASK, *_) = jobs_of(Strategy.LOCAL, 1, THRESHOLD)


@pytest_asyncio.fixture
async def engines() -> AsyncIterator[Engines]:
    async with simulated(QUICK) as found:
        yield found


async def test_early_scores_lead_to_the_same_answer(engines: Engines) -> None:
    begun_early = 0
    for job in jobs_of(Strategy.LOCAL, 8, THRESHOLD):
        early = EarlyScores(engines.student, engines.sorm, job)
        eager = replace(engines, student=early, sorm=early)
        outcome = await refine(job, eager, ManualClock(), lambda _: None)
        await early.finish()
        plain = await refine(job, engines, ManualClock(), lambda _: None)
        assert outcome.first_error == plain.first_error
        assert outcome.selected.solution == plain.selected.solution
        begun_early += early.early
        assert outcome.first_error is not None or not early.early
    assert begun_early > 0


async def test_a_sorm_that_fails_costs_the_refinement_as_always(engines: Engines) -> None:
    early = EarlyScores(engines.student, FakeSorm("sorm", fault="failed"), TASK)
    broken = replace(engines, student=early, sorm=early)
    outcome = await refine(TASK, broken, ManualClock(), lambda _: None)
    await early.finish()
    assert [missing.stage for missing in outcome.state.degraded] == [Stage.SCORE]


async def test_a_row_tells_both_ways(engines: Engines) -> None:
    row = await compare(engines, jobs_of(Strategy.LOCAL, 6, THRESHOLD), in_flight=3, rounds=1)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:2] == ["local", "3"]
    assert float(cells[2]) > 0
    assert cells[5].endswith("/6")
    assert (cells[9], float(cells[10]) > 1) == ("1.0", True)


def test_one_engine_alone_is_refused() -> None:
    with pytest.raises(SystemExit):
        main(["--generation", "http://127.0.0.1:1"])
