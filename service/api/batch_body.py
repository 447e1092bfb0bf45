"""The body of a batch: one JSON object, or a line of NDJSON per question."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fastapi import Request
from pydantic import ValidationError

from service.api.batch_schemas import BatchRequest
from service.api.context import Limits
from service.api.problems import field_faults, invalid_request
from service.api.schemas import SolveRequest
from service.api.solve import task_of
from service.errors import FieldFault, InvalidRequestError, UnsupportedMediaTypeError
from service.refinement.types import Task

NDJSON: Final = "application/x-ndjson"
_FORM: Final = "v2"  # of a digest; v1 was a hash alone, with the defaults of its version in it
_NDJSON: Final = frozenset({NDJSON, "application/ndjson", "application/jsonl"})


@dataclass(frozen=True, slots=True)
class Batch:
    """What is asked; `digest` tells it from other batches."""

    ids: Sequence[str | None]
    tasks: Sequence[Task]
    digest: str


async def batch_of(request: Request, limits: Limits) -> Batch:
    """The batch in the body. Raises UnsupportedMediaTypeError, InvalidRequestError."""
    kind = request.headers.get("content-type", "").split(";", maxsplit=1)[0].strip().lower()
    body = await request.body()
    if kind in _NDJSON:
        content: object = _lines(body, limits.max_batch)
    elif kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        content = _parsed(body, "body")
    else:
        message = f"Send the body as application/json or {NDJSON}."
        raise UnsupportedMediaTypeError(message)
    try:
        batch = BatchRequest.model_validate(content)
    except ValidationError as error:
        faults = field_faults([{**each, "loc": ("body", *each["loc"])} for each in error.errors()])
        raise invalid_request(faults) from None
    _bounded(len(batch.questions), limits.max_batch)
    requests = batch.resolved()
    ids = [question.id for question in batch.questions]
    tasks, faults_found = [], []
    for index, each in enumerate(requests):
        try:
            tasks.append(task_of(each, limits))
        except InvalidRequestError as error:
            faults_found += [
                FieldFault(f"questions.{index}.{fault.field}", fault.message)
                for fault in error.faults
            ]
    if faults_found:
        raise invalid_request(faults_found[:20])
    return Batch(ids, tasks, digest_of(ids, requests))


def digest_of(ids: Sequence[str | None], requests: Sequence[SolveRequest]) -> str:
    """What stands for a batch in the store: its form, and a hash of all that the client said.

    The same questions give the same one in whichever way they were written, on whichever gateway:
    what was not said is not in it, and so no default of this version. Each request has the options
    of its batch. Null says no more than silence.
    """
    asked = [
        each.model_dump(mode="json", exclude_unset=True, exclude_none=True) for each in requests
    ]
    canonical = json.dumps([ids, asked], sort_keys=True, separators=(",", ":"))
    return f"{_FORM}:{hashlib.sha256(canonical.encode()).hexdigest()}"


def _lines(body: bytes, most: int) -> dict[str, object]:
    lines = [line for line in body.split(b"\n") if line.strip()]
    _bounded(len(lines), most)
    return {"questions": [_parsed(line, f"questions.{i}") for i, line in enumerate(lines)]}


def _parsed(text: bytes, field: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        fault = FieldFault(field, f"Not valid JSON at character {error.pos}: {error.msg}")
    except (ValueError, RecursionError):  # no UTF-8, too deep, a number of thousands of digits
        fault = FieldFault(field, "Not readable as JSON")
    raise invalid_request([fault])


def _bounded(count: int, most: int) -> None:
    if count > most:
        fault = FieldFault("questions", f"List should have at most {most} items")
        raise invalid_request([fault])
