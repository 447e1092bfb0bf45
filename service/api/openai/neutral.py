"""A parameter that the gateway cannot honour, and the values of it that ask for nothing."""

import json
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

UNSUPPORTED_VALUE: Final = "unsupported_value"
UNSUPPORTED_PARAMETER: Final = "unsupported_parameter"
TOO_LONG: Final = "context_length_exceeded"
_ONLY: Final = "Only {only} is supported"
_NOT_SUPPORTED: Final = "It is not supported here: leave it out"


class Neutral:
    """Takes null and these `values`, and makes None of them; any other is refused.

    Used as `Annotated[None, Neutral(1)]`. What is refused is an `unsupported_value` when the
    parameter has a value that names what the gateway does anyway (1, "auto"), and an
    `unsupported_parameter` when it only has values that switch it off (0, false, an empty list).

    It is no dataclass: those of 0 and False would be equal, and `Annotated` takes what is equal
    for the same.
    """

    def __init__(self, *values: Any) -> None:  # noqa: ANN401 - of JSON
        self.values = values

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """What pydantic checks a value with."""
        del source, handler
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The values that are taken."""
        del schema, handler
        return {"enum": [None, *self.values]} if self.values else {"type": "null"}

    def _check(self, value: object) -> None:
        if value is None or any(_same(value, neutral) for neutral in self.values):
            return
        if any(self.values):
            only = " or ".join(json.dumps(each) for each in self.values)
            raise PydanticCustomError(UNSUPPORTED_VALUE, _ONLY, {"only": only})
        raise PydanticCustomError(UNSUPPORTED_PARAMETER, _NOT_SUPPORTED)


def _same(value: object, other: object) -> bool:
    """Whether two values of JSON are the same; to Python, false is 0 as well."""
    return isinstance(value, bool) == isinstance(other, bool) and value == other
