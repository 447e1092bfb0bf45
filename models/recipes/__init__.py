"""Recipes: functions that return the whole configuration of a run, and what carries it out."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.recipes.recipe import Recipe

RECIPES = ("first_light", "smoke")


class UnknownNameError(ValueError):
    """There is no such recipe, or no such stage; the text lists those there are."""


def run_recipe(name: str, run_dir: Path, *, base: Path, stage: str | None = None) -> None:
    """Carry out recipe `name` in `run_dir`, or one stage of it; done stages are skipped.

    `base` is the folder of the base checkpoint. Raises UnknownNameError, or
    OtherRecipeError when `run_dir` holds a run with other settings.
    """
    # torch is loaded only when something is trained
    from models.recipes.run import Run  # noqa: PLC0415
    from models.recipes.stages import Stages  # noqa: PLC0415

    run, recipe = Run(run_dir), _recipe(name)
    stages = Stages(recipe, run, base).all()
    if stage is not None and stage not in stages:
        message = f"no stage {stage!r}; the stages are {', '.join(stages)}"
        raise UnknownNameError(message)
    run.remember(recipe.settings())
    for each, work in stages.items():
        if stage in (None, each):
            run.stage(each, work)


def _recipe(name: str) -> "Recipe":
    from models.recipes import first_light  # noqa: PLC0415

    made = {"first_light": first_light.first_light, "smoke": first_light.smoke}
    if name not in made:
        message = f"no recipe {name!r}; the recipes are {', '.join(RECIPES)}"
        raise UnknownNameError(message)
    return made[name]()
