"""`GET /`: the page on which people watch a refinement, and the files that it is made of.

The files lie in `glore/web` and are read once. A browser may load them from here alone; the page
asks `POST /solve` as any other client does, with the visitor's key.
"""

from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

import glore
from glore.api.context import Context, context_of
from glore.api.files import HEADERS, File
from glore.api.schemas import DEFAULT_DEADLINE_MS
from glore.refinement.types import Strategy

PATH: Final = "/"
FILES: Final = "/page/"
_SETTINGS: Final = f"{FILES}settings.json"
_INDEX: Final = "index.html"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


class PageSettings(BaseModel):
    """What the page has to know of its gateway."""

    version: str
    strategy: Strategy = Field(description="Of requests that name none.")
    max_rounds: int
    max_question: int = Field(description="Characters.")
    deadline_ms: int = Field(description="Of requests that name none.")
    verifies: bool = Field(description="Whether the gateway has verifiers.")
    asks_for_a_key: bool


WEB: Final[Mapping[str, File]] = MappingProxyType(
    {file.name: File.read(file) for file in resources.files(glore).joinpath("web").iterdir()}
)

router = APIRouter(include_in_schema=False)


@router.get(PATH)
async def index(request: Request) -> Response:
    """The page."""
    return WEB[_INDEX].respond(request, POLICY)


@router.get(_SETTINGS)
async def settings(
    request: Request, response: Response, context: Annotated[Context, Depends(context_of)]
) -> PageSettings:
    """What holds for every request, with or without a key."""
    response.headers.update({**HEADERS, "Content-Security-Policy": POLICY})
    limits = context.limits
    return PageSettings(
        version=request.app.version,
        strategy=limits.strategy,
        max_rounds=limits.max_rounds,
        max_question=limits.max_question,
        deadline_ms=min(DEFAULT_DEADLINE_MS, round(limits.max_deadline * 1000)),
        verifies=limits.verifies,
        asks_for_a_key=context.gate.asks_for_a_key,
    )


@router.get(f"{FILES}{{name}}")
async def file(name: str, request: Request) -> Response:
    """One of the files. Raises HTTPException for a name that none has."""
    if name not in WEB:
        raise HTTPException(404)
    return WEB[name].respond(request, POLICY)
