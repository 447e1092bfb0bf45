"""`GET /v1/models`: the strategies, as models that can be asked for."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from glore.api.openai.document import LIST_ERRORS, RETRIEVE_ERRORS
from glore.errors import FieldError, ModelNotFoundError
from glore.refinement.types import Strategy

STRATEGIES: Final[Mapping[str, Strategy]] = {
    "glore" if each is Strategy.GLORE else f"glore-{each.value.replace('_', '-')}": each
    for each in Strategy
}
KNOWN: Final[dict[str, Any]] = {"enum": list(STRATEGIES)}
_STARTED: Final = int(time.time())

router = APIRouter(tags=["OpenAI"])


class Model(BaseModel):
    """A strategy by the name it has as a model."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="When this gateway was started, in Unix seconds.")
    owned_by: Literal["glore"] = "glore"


class ModelCatalog(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.get("/v1/models", summary="List the models", responses=LIST_ERRORS)
async def list_models() -> ModelCatalog:
    """`glore` is the whole refinement; the others are `gated`, its parts and `best_of_n`."""
    return ModelCatalog(data=[_model(name) for name in STRATEGIES])


@router.get("/v1/models/{model}", summary="One model", responses=RETRIEVE_ERRORS)
async def retrieve_model(model: Annotated[str, Path(json_schema_extra=KNOWN)]) -> Model:
    """The model of this name."""
    strategy_of(model)
    return _model(model)


def strategy_of(model: str) -> Strategy:
    """The strategy that the model stands for. Raises ModelNotFoundError."""
    try:
        return STRATEGIES[model]
    except KeyError:
        message = f"There is no such model; the models are {', '.join(STRATEGIES)}."
        raise ModelNotFoundError(message, (FieldError("model", message),)) from None


def _model(name: str) -> Model:
    return Model(id=name, created=_STARTED)
