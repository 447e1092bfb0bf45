"""The calls that have one answer: `solve`, `feedback` and `ready`, as flows of steps."""

from collections.abc import Callable, Mapping

import httpx2
from pydantic import ValidationError

from glore_client.answers import LONGEST_ERROR, error_of, result_of, validated, whole
from glore_client.errors import GloreError
from glore_client.questions import SolveCall
from glore_client.results import Feedback, Readiness, SolveResult
from glore_client.retries import RetryPolicy, Tries
from glore_client.steps import Flow, Give, Pause, Send

ONCE = RetryPolicy(max_retries=0)


def solve(call: SolveCall, policy: RetryPolicy, clock: Callable[[], float]) -> Flow[SolveResult]:
    """Ask, and ask again where that is safe. Raises GloreError."""
    tries = Tries(policy, clock, min(call.deadline, call.timeout))
    while True:
        try:
            answer = yield from whole(call.send(tries.elapsed), tries, call.request_id)
            result = result_of(answer)
            break
        except GloreError as error:
            wait = tries.wait(error)
            if wait is None:
                raise
        yield Pause(wait)
        tries.again()
    yield Give(result)


def feedback(
    verdict: Mapping[str, object],
    request_id: str,
    timeout: float,
    policy: RetryPolicy,
    clock: Callable[[], float],
) -> Flow[Feedback]:
    """Judge an answer, and again where that failed: twice the same is once. Raises GloreError."""
    tries = Tries(policy, clock, timeout)
    while True:
        headers = {"Accept": "application/json", "X-Request-ID": request_id}
        send = Send("POST", "/feedback", headers, verdict, timeout - tries.elapsed)
        try:
            answer = yield from whole(send, tries, request_id, LONGEST_ERROR)
            if answer.response.status_code != httpx2.codes.OK:
                raise error_of(answer)
            told = validated(Feedback.model_validate_json, answer.content, answer.origin)
            break
        except GloreError as error:
            wait = tries.wait(error, repeatable=True)
            if wait is None:
                raise
        yield Pause(wait)
        tries.again()
    yield Give(told)


def ready(request_id: str, timeout: float, clock: Callable[[], float]) -> Flow[Readiness]:
    """Ask once whether the gateway can answer. Raises GloreError."""
    send = Send("GET", "/readyz", {"X-Request-ID": request_id}, None, timeout)
    answer = yield from whole(send, Tries(ONCE, clock, timeout), request_id, LONGEST_ERROR)
    if answer.response.status_code not in {200, 503}:
        raise error_of(answer)
    try:
        readiness = Readiness.model_validate_json(answer.content)
    except ValidationError:
        raise error_of(answer) from None
    yield Give(readiness)
