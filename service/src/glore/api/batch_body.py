"""The body of a batch: one JSON object, or a line of NDJSON per question.

It is large, so it is read and checked question by question, and the event loop is free between two.
"""

import asyncio
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fastapi import Request
from pydantic import ValidationError

from glore.api.batch_schemas import BatchQuestion, resolved
from glore.api.context import Limits
from glore.api.json_text import JsonText, check_size
from glore.api.problems import MAX_FAULTS, MAX_NAME, field_faults, invalid_request
from glore.api.schemas import SolveOptions, SolveRequest
from glore.api.solve import beyond_limits, job_of
from glore.errors import FieldError, InvalidRequestError, UnsupportedMediaTypeError
from glore.refinement.types import Job

NDJSON: Final = "application/x-ndjson"
_FORM: Final = "v2"  # of a digest; v1 was a hash alone, with the defaults of its version in it
_NDJSON: Final = frozenset({NDJSON, "application/ndjson", "application/jsonl"})
_LINES_PER_QUESTION: Final = 2  # at most; the others are blank
_QUESTIONS: Final = "questions"
_CHARACTERS_AT_ONCE: Final = 32 * 1024  # that are read
_QUESTIONS_AT_ONCE: Final = 16  # that are checked
_MOST_FIELDS: Final = 20  # of a batch; there are fewer
_MOST_VALUES: Final = 100  # of one question, or of one field beside them; there are fewer


class _Pauses:
    """Frees the event loop each time that work of a cost of `every` has been done."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._done = 0

    async def after(self, cost: int = 1) -> None:
        """Count a piece of work, and pause if it is time."""
        self._done += cost
        if self._done >= self._every:
            self._done = 0
            await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Batch:
    """What is asked; `digest` tells it from other batches."""

    ids: Sequence[str | None]
    jobs: Sequence[Job]
    digest: str


async def batch_of(request: Request, limits: Limits) -> Batch:
    """The batch in the body. Raises UnsupportedMediaTypeError, InvalidRequestError."""
    kind = request.headers.get("content-type", "").split(";", maxsplit=1)[0].strip().lower()
    body = await request.body()
    options: dict[str, object] = {}
    if kind in _NDJSON:
        questions = await _lines(body, limits)
    elif kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        options, questions = await _object(body, limits)
    else:
        message = f"Send the body as application/json or {NDJSON}."
        raise UnsupportedMediaTypeError(message)
    return await _checked(options, questions, limits)


async def digest_of(ids: Sequence[str | None], requests: Sequence[SolveRequest]) -> str:
    """What stands for a batch in the store: its form, and a hash of all that the client said.

    The same questions give the same one in whichever way they were written, on whichever gateway:
    what was not given is not in it, and so no default of this version. Each request has the options
    of its batch. Null says no more than silence.
    """
    digest = hashlib.sha256(f"[{_canonical(ids)},[".encode())
    pauses = _Pauses(_QUESTIONS_AT_ONCE)
    for index, each in enumerate(requests):
        given = each.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        digest.update(f"{',' if index else ''}{_canonical(given)}".encode())
        await pauses.after()
    digest.update(b"]]")
    return f"{_FORM}:{digest.hexdigest()}"


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


async def _lines(body: bytes, limits: Limits) -> list[object]:
    """The questions, a line each."""
    most = limits.max_batch * _LINES_PER_QUESTION
    *lines, rest = body.split(b"\n", most)
    if len(lines) == most and rest.strip():
        raise _too_many(limits)
    questions: list[object] = []
    pauses = _Pauses(_CHARACTERS_AT_ONCE)
    for line in (*lines, rest):
        if line.strip():
            text = JsonText(line, limits.max_body)
            _read_question(text, questions, limits)
            text.end()
        await pauses.after(len(line))
    return questions


async def _object(body: bytes, limits: Limits) -> tuple[dict[str, object], list[object]]:
    """The fields beside the questions, and the questions."""
    text = JsonText(body, limits.max_body)
    fields: dict[str, object] = {}
    questions: list[object] | None = None
    pauses = _Pauses(_CHARACTERS_AT_ONCE)
    for index, _ in enumerate(text.items("{", "}")):
        name = text.value()
        text.skip(":")
        if not isinstance(name, str) or index >= _MOST_FIELDS:
            text.fail(f"At most {_MOST_FIELDS} fields, each with a name, make a batch")
        if name == _QUESTIONS and text.comes("["):
            questions = []
            for _ in text.items("[", "]"):
                await pauses.after(_read_question(text, questions, limits))
            text.field = "body"
        else:
            fields[name] = text.value()
            check_size(fields[name], _MOST_VALUES, name[:MAX_NAME])
            await pauses.after(_CHARACTERS_AT_ONCE)
    text.end()
    if questions is None:
        text.field = _QUESTIONS
        text.fail("A list of questions is needed")
    return fields, questions


def _read_question(text: JsonText, questions: list[object], limits: Limits) -> int:
    """Read one more of the questions; its characters."""
    if len(questions) == limits.max_batch:
        raise _too_many(limits)
    text.field = f"{_QUESTIONS}.{len(questions)}"
    begun = text.at
    questions.append(text.value())
    check_size(questions[-1], _MOST_VALUES, text.field)
    return text.at - begun


async def _checked(fields: dict[str, object], questions: list[object], limits: Limits) -> Batch:
    """What is asked. Raises InvalidRequestError with the first faults."""
    if not questions:
        raise invalid_request([FieldError(_QUESTIONS, "List should have at least 1 item")])
    try:
        options = SolveOptions.model_validate(fields)
    except ValidationError as error:
        raise invalid_request(field_faults(error.errors())) from None
    ids: list[str | None] = []
    requests: list[SolveRequest] = []
    jobs: list[Job] = []
    faults: list[FieldError] = []
    pauses = _Pauses(_QUESTIONS_AT_ONCE)
    for index, each in enumerate(questions):
        field = f"{_QUESTIONS}.{index}"
        try:
            question = BatchQuestion.model_validate(each)
            request = resolved(options, question)
            jobs.append(job_of(request, limits))
        except ValidationError as error:
            faults += _at(field, field_faults(error.errors()))
        except InvalidRequestError as error:
            faults += _at(field, error.faults)
        else:
            ids.append(question.id)
            requests.append(request)
        if len(faults) >= MAX_FAULTS:
            break
        await pauses.after()
    if faults := faults or beyond_limits(options, limits):  # also where each question has its own
        raise invalid_request(faults[:MAX_FAULTS])
    return Batch(ids, jobs, await digest_of(ids, requests))


def _at(field: str, faults: Iterable[FieldError]) -> Iterator[FieldError]:
    """Faults of a part of the body, which is at `field`."""
    for each in faults:
        yield replace(each, field=f"{field}.{each.field}" if each.field else field)


def _too_many(limits: Limits) -> InvalidRequestError:
    message = f"List should have at most {limits.max_batch} items"
    return invalid_request([FieldError(_QUESTIONS, message)])
