"""Queries, of which OpenAI's paths take none here."""

from typing import Final

from fastapi import Request

from service.api.openai.neutral import UNSUPPORTED_PARAMETER
from service.api.problems import invalid_request
from service.errors import FieldFault

NO_QUERY: Final = "No query is taken here: leave it out"
_MOST: Final = 20  # that are named
_MOST_NAME: Final = 100


async def refuse_query(request: Request) -> None:
    """Raises InvalidRequestError for a query; its names are told, its values are not."""
    names = list(dict.fromkeys(request.query_params))[:_MOST]
    if names:
        raise invalid_request(
            [
                FieldFault(f"query.{name[:_MOST_NAME]}", NO_QUERY, UNSUPPORTED_PARAMETER)
                for name in names
            ]
        )
