"""The calls that have one answer: `solve` and `ready`, as flows of steps."""

from collections.abc import Callable

from pydantic import ValidationError

from glore_client.answers import error_of, received, result_of
from glore_client.errors import GloreError
from glore_client.questions import SolveCall
from glore_client.results import Readiness, SolveResult
from glore_client.retries import RetryPolicy, Tries
from glore_client.steps import Flow, Give, Pause, Send


def solve(call: SolveCall, policy: RetryPolicy, clock: Callable[[], float]) -> Flow[SolveResult]:
    """Ask, and ask again where that is safe. Raises GloreError."""
    tries = Tries(policy, clock, min(call.deadline, call.timeout))
    while True:
        send = call.send(tries.elapsed)
        reply = yield send
        try:
            result = result_of(received(reply, send, call.request_id), call.request_id)
            break
        except GloreError as error:
            wait = tries.wait(error)
            if wait is None:
                raise
        yield Pause(wait)
        tries.again()
    yield Give(result)


def ready(request_id: str, timeout: float) -> Flow[Readiness]:
    """Ask once whether the gateway can answer. Raises GloreError."""
    send = Send("GET", "/readyz", {"X-Request-ID": request_id}, None, timeout)
    response = received((yield send), send, request_id)
    if response.status_code not in {200, 503}:
        raise error_of(response, request_id)
    try:
        readiness = Readiness.model_validate_json(response.content)
    except ValidationError:
        raise error_of(response, request_id) from None
    yield Give(readiness)
