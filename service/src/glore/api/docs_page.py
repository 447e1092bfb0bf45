"""`GET /docs`: the OpenAPI document in Swagger UI, where every path can be tried.

The files of Swagger UI come from the package `fastapi-offline`, so the page works without the
Internet and tells nobody who reads it.
"""

from functools import cache
from importlib import resources
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from glore.api.files import File
from glore.api.page import WEB

PATH: Final = "/docs"
_SWAGGER: Final = frozenset({"swagger-ui-bundle.js", "swagger-ui.css"})
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

router = APIRouter(include_in_schema=False)


@router.get(PATH)
async def docs(request: Request) -> Response:
    """The page, for people."""
    return WEB["docs.html"].respond(request, _POLICY)


@router.get(f"{PATH}/{{name}}")
async def file(name: str, request: Request) -> Response:
    """One of the files of Swagger UI. Raises HTTPException for any other name."""
    if name not in _SWAGGER:
        raise HTTPException(404)
    return _swagger(name).respond(request, _POLICY)


@cache
def _swagger(name: str) -> File:
    return File.read(resources.files("fastapi_offline").joinpath("static", name))
