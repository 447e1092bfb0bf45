"""Header fields that a request may have, as fields of a pydantic model.

FastAPI's own `Header` parameters take a time that is quadratic in the number of header lines.
"""

from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from glore.api.problems import field_faults, invalid_request

_Model = TypeVar("_Model", bound=BaseModel)


def read_headers(model: type[_Model], request: Request) -> _Model:
    """What the header says; each field of `model` has a header's name as its alias.

    Raises InvalidRequestError, as for FastAPI's own.
    """
    aliases = (field.alias for field in model.model_fields.values())
    given = {name: request.headers.get(name) for name in aliases if name}
    present = {name: value for name, value in given.items() if value is not None}
    try:
        return model.model_validate(present)
    except ValidationError as error:
        located = [{**each, "loc": ("header", *each["loc"])} for each in error.errors()]
        raise invalid_request(field_faults(located)) from None


def header_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    """The fields as OpenAPI describes them."""
    return [
        {
            "name": name,
            "in": "header",
            "required": False,
            "schema": schema,
            "description": schema["description"],
        }
        for name, schema in model.model_json_schema()["properties"].items()
    ]
