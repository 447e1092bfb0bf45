"""The calls with one answer: `solve`, `feedback` and `ready`."""

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from glore_client.error_responses import status_error, validated
from glore_client.errors import GloreError
from glore_client.questions import SolveCall
from glore_client.responses import MAX_ERROR_BODY, result_of, send
from glore_client.results import Feedback, Readiness, SolveResult
from glore_client.retries import BeginAttempts
from glore_client.transport import ApiRequest

_ANSWERS: Final = frozenset({200, 503})  # statuses of GET /readyz that come with a Readiness


async def solve(call: SolveCall, begin: BeginAttempts) -> SolveResult:
    """Send the question, and again where that is safe. Raises GloreError."""
    attempts = begin(call.time_limit)
    while True:
        request = call.request(attempts.offset)
        try:
            async with await send(request, attempts, call.request_id) as response:
                return result_of(await response.read_all(), response.origin)
        except GloreError as error:
            if not await attempts.retry(error):
                raise


async def feedback(
    verdict: Mapping[str, object], request_id: str, timeout: float, begin: BeginAttempts
) -> Feedback:
    """Send a verdict, and again if that failed: the gateway counts it once. Raises GloreError."""
    attempts = begin(timeout)
    headers = {"Accept": "application/json", "X-Request-ID": request_id}
    while True:
        left = timeout - attempts.offset
        request = ApiRequest("POST", "/feedback", headers, verdict, left)
        try:
            async with await send(request, attempts, request_id) as response:
                whole = await response.read_all(MAX_ERROR_BODY)
                if not response.is_ok:
                    raise status_error(whole, response.origin)
                return validated(Feedback.model_validate_json, whole.content, response.origin)
        except GloreError as error:
            if not await attempts.retry(error, repeatable=True):
                raise


async def ready(request_id: str, timeout: float, begin: BeginAttempts) -> Readiness:
    """Ask once whether the gateway can answer. Raises GloreError."""
    attempts = begin(timeout)
    request = ApiRequest("GET", "/readyz", {"X-Request-ID": request_id}, None, timeout)
    async with await send(request, attempts, request_id) as response:
        whole = await response.read_all(MAX_ERROR_BODY)
        if response.head.status_code not in _ANSWERS:
            raise status_error(whole, response.origin)
        try:
            return Readiness.model_validate_json(whole.content)
        except ValidationError:
            raise status_error(whole, response.origin) from None
