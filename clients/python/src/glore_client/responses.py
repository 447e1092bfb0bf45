"""Sending a request, and reading its response whole or as a stream."""

from typing import Final, Self

import httpx2

from glore_client.error_responses import (
    Origin,
    WholeResponse,
    broken_off,
    no_response,
    quoted,
    status_error,
    validated,
)
from glore_client.errors import APIConnectionError, APITimeoutError
from glore_client.results import SolveResult
from glore_client.retries import Attempts
from glore_client.transport import ApiRequest, OpenResponse
from glore_client.visible import excerpt

MAX_BODY: Final = 8 * 1024 * 1024  # bytes, decoded; a gateway's largest is about 1 MiB
MAX_ERROR_BODY: Final = 64 * 1024  # bytes, decoded; the rest of a longer error body is not read
_QUOTE_TIMEOUT: Final = 1.0  # seconds for the beginning of a body that is only quoted


class ResponseReader:
    """The response to one attempt. Leaving its block closes it."""

    def __init__(
        self, response: OpenResponse, request: ApiRequest, attempts: Attempts, request_id: str
    ) -> None:
        self.head = response.head
        self.origin = Origin.of(response.head, request_id)
        self._response = response
        self._request = request
        self._attempts = attempts

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._response.close()

    @property
    def is_ok(self) -> bool:
        """Whether the status is 200."""
        return self.head.status_code == httpx2.codes.OK

    async def read_all(self, limit: int = MAX_BODY) -> WholeResponse:
        """The response with its body, within the request's timeout.

        Raises APIConnectionError, and InvalidResponseError for more than `limit` bytes. Of an error
        `MAX_ERROR_BODY` bytes are read.
        """
        limit = limit if self.is_ok else min(limit, MAX_ERROR_BODY)
        timeout = self._request.timeout
        content = bytearray()
        while (left := timeout - self._attempts.elapsed_now) > 0.0:
            try:
                chunk = await self._response.read(left)
            except httpx2.RequestError as error:
                if not self.is_ok and not isinstance(error, httpx2.TimeoutException):
                    return WholeResponse(self.head, bytes(content), is_complete=False)
                raise no_response(error, timeout, self.origin, began=True) from error
            content += chunk
            if len(content) > limit and self.is_ok:
                message = f"the answer is longer than {limit} bytes"
                raise self.origin.invalid(message)
            if not chunk or len(content) > limit:
                return WholeResponse(self.head, bytes(content[:limit]))
        message = f"no answer within {timeout:.1f} s"
        raise self.origin.error(APITimeoutError, message)

    async def require_stream(self, media_type: str) -> None:
        """Raise GloreError unless this is a stream of that type."""
        if not self.is_ok:
            raise status_error(await self.read_all(), self.origin)
        given = self.head.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if given != media_type:
            try:
                timeout = min(_QUOTE_TIMEOUT, self._request.max_silence)
                quote = quoted(await self._response.read(timeout))
            except httpx2.RequestError:
                quote = ""
            kind = excerpt(given) or "of no type"
            message = f"status 200, but the answer is {kind}, not {media_type}{quote}"
            raise self.origin.invalid(message)

    async def next_chunk(self, limit: float, late: str) -> bytes:
        """The next bytes of a stream, within the silence that the request allows.

        `limit`: seconds since the first attempt after which the call ends with the message `late`.
        Raises APIConnectionError, also at the end of the body.
        """
        left = limit - self._attempts.elapsed
        if left <= 0.0:
            raise self.origin.error(APITimeoutError, late)
        silence = self._request.max_silence
        try:
            chunk = await self._response.read(min(silence, left))
        except httpx2.TimeoutException as error:
            message = late if left <= silence else f"not a sign of life within {silence:.1f} s"
            raise self.origin.error(APITimeoutError, message) from error
        except httpx2.RequestError as error:
            raise broken_off(error, self.origin) from error
        if not chunk:
            message = "the answer was cut off"
            raise self.origin.error(APIConnectionError, message)
        return chunk


async def send(request: ApiRequest, attempts: Attempts, request_id: str) -> ResponseReader:
    """The response to a request, once its head is here. Raises APIConnectionError."""
    try:
        response = await attempts.transport.send(request)
    except httpx2.RequestError as error:
        origin = Origin.of(error, request_id)
        raise no_response(error, request.timeout, origin, began=False) from error
    return ResponseReader(response, request, attempts, request_id)


def result_of(response: WholeResponse, origin: Origin) -> SolveResult:
    """The result in a response. Raises APIStatusError, InvalidResponseError."""
    if response.head.status_code != httpx2.codes.OK:
        raise status_error(response, origin)
    return checked(validated(SolveResult.model_validate_json, response.content, origin), origin)


def checked(result: SolveResult, origin: Origin) -> SolveResult:
    """The result itself. Raises InvalidResponseError if its winner is not a candidate."""
    if not 0 <= result.selected.candidate < len(result.candidates):
        message = "the answer selects a candidate that it does not hold"
        raise origin.invalid(message)
    return result
