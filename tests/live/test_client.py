"""The SDK and `glore ask` on the real gateway, vLLM servers and models."""

import re
import subprocess
import sys
import uuid

import pytest

from glore_client import (
    Answered,
    Client,
    DoneEvent,
    DraftDelta,
    DraftWritten,
    Outcome,
    Question,
    RefinedWritten,
    Sampling,
    SelectedEvent,
    SolveOptions,
    SolveResult,
    StepScores,
)

from .conftest import Service
from .test_solve import QUESTION

DEADLINE = 590.0  # patience, as in the tests beside this one
SHORT = Sampling(max_tokens=64)
QUESTIONS: list[str | Question] = [
    QUESTION,
    Question("What is 3 + 4?", id="sum", strategy="local"),
    Question("Ann has 2 bags of 5 nuts. How many nuts has she?", strategy="draft"),
]


@pytest.fixture
def options() -> SolveOptions:
    return {"strategy": "glore", "deadline": DEADLINE, "sampling": SHORT}


def results(outcomes: list[Outcome]) -> dict[int, SolveResult]:
    """Each question's result, by its place; all of them have one."""
    reported = {each.index: each.result for each in outcomes if isinstance(each, Answered)}
    assert len(reported) == len(outcomes), outcomes
    return reported


def replayed(service: Service) -> float:
    """How many results of batches came from the store so far."""
    with service.client() as client:
        text = client.get("/metrics").text
    pattern = r'^glore_batch_questions_total{outcome="replayed"} (\S+)$'
    return sum(map(float, re.findall(pattern, text, re.MULTILINE)))


def test_a_stream_tells_typed_events_and_ends_with_the_result(
    service: Service, options: SolveOptions
) -> None:
    with Client(service.url) as client, client.stream(QUESTION, **options) as stream:
        events = list(stream)
        result = stream.result
    assert [type(event) for event in events[-2:]] == [SelectedEvent, DoneEvent]
    assert events[-1] == DoneEvent(result=result)
    assert stream.request_id == result.request_id
    assert result.degraded == ()
    draft = next(event for event in events if isinstance(event, DraftWritten))
    text = "".join(event.text for event in events if isinstance(event, DraftDelta))
    assert text.strip() == draft.candidate.solution.strip()
    assert draft.candidate.solution == result.candidates[0].solution
    scores = next(event for event in events if isinstance(event, StepScores))
    assert list(scores.scores) == [step.score for step in result.draft.steps]
    refined = [event for event in events if isinstance(event, RefinedWritten)]
    assert len(refined) == len(result.candidates) - 1
    for event in refined:
        assert event.candidate.solution == result.candidates[event.place].solution


def test_many_questions_are_answered_in_order(service: Service, options: SolveOptions) -> None:
    with Client(service.url) as client:
        outcomes = list(client.solve_many(QUESTIONS, concurrency=3, **options))
    assert [outcome.index for outcome in outcomes] == [0, 1, 2]
    strategies = [result.strategy for result in results(outcomes).values()]
    assert strategies == ["glore", "local", "draft"]


def test_a_batch_that_is_requested_again_under_its_key_is_replayed(
    service: Service, options: SolveOptions
) -> None:
    key = f"live-{uuid.uuid4().hex}"  # results are kept from run to run

    def ask() -> dict[int, SolveResult]:
        with Client(service.url) as client:
            reported = client.solve_batch(
                QUESTIONS, idempotency_key=key, timeout=3 * DEADLINE, silence=DEADLINE, **options
            )
            return results(list(reported))

    first, before = ask(), replayed(service)
    again = ask()
    assert sorted(first) == [0, 1, 2]
    assert again == first  # word for word, ids included
    assert replayed(service) == before + 3


def test_glore_ask_prints_the_result_as_json(service: Service) -> None:
    command = [sys.executable, "-m", "glore.cli", "ask", QUESTION, "--json"]
    command += ["--url", service.url, "--strategy", "draft", "--deadline", str(DEADLINE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    result = SolveResult.model_validate_json(done.stdout)
    assert (result.strategy, len(result.candidates)) == ("draft", 1)
    assert result.solution
