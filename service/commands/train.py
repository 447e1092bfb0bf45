"""`glore train RECIPE`: carries out a recipe; everything it needs is imported then."""

import importlib.util
from pathlib import Path

from models.recipes import RECIPES, UnknownNameError, run_recipe
from models.recipes.run import OtherRecipeError
from models.serving.cache import default_cache
from models.serving.errors import ServingError
from service.commands.errors import CommandFailedError, WrongArgumentError

_NEEDED = ("torch", "transformers", "peft", "gguf", "reasoning_gym")


def run_train(recipe: str, *, run_dir: Path, stage: str | None, cache: Path | None) -> None:
    """Make or fetch the base, then carry out `recipe` in `run_dir`.

    Raises WrongArgumentError for a recipe or stage that there is not, CommandFailedError
    when the base cannot be made or the training extra is missing.
    """
    if recipe not in RECIPES:  # before the base is made
        message = f"no recipe {recipe!r}; the recipes are {', '.join(RECIPES)}"
        raise WrongArgumentError(message)
    for name in _NEEDED:  # before the base is made
        if importlib.util.find_spec(name) is None:
            message = f"training needs {name}, which is not installed: pip install 'glore[train]'"
            raise CommandFailedError(message)
    try:
        from models.serving.build import ensure_base  # noqa: PLC0415

        base = ensure_base(cache.expanduser().resolve() if cache else default_cache())
        run_recipe(recipe, run_dir, stage=stage, base=base)
    except ServingError as error:
        message = f"{error.problem} {error.way_out}"
        raise CommandFailedError(message) from error
    except (UnknownNameError, OtherRecipeError) as error:
        raise WrongArgumentError(str(error)) from error
