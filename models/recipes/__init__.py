"""Recipes: functions that return the whole configuration of a run, and what carries it out."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.recipes.recipe import Recipe
    from models.sampling.port import MakeSampler

RECIPES = ("first_light", "paper", "smoke")


class UnknownNameError(ValueError):
    """There is no such recipe, or no such stage; the text lists those there are."""


def run_recipe(
    name: str,
    run_dir: Path,
    *,
    base: Path,
    stage: str | None = None,
    make_sampler: "MakeSampler | None" = None,
) -> None:
    """Carry out recipe `name` in `run_dir`, or one stage of it; done stages are skipped.

    `base` is the folder of the base checkpoint, `make_sampler` goes before the recipe's own.
    Raises UnknownNameError, or
    OtherRecipeError when `run_dir` holds a run with other settings.
    """
    # torch is loaded only when something is trained
    from models.recipes.progress import spoken, time_left  # noqa: PLC0415
    from models.recipes.run import Run  # noqa: PLC0415
    from models.recipes.stages import Stages  # noqa: PLC0415

    run, recipe = Run(run_dir), _recipe(name)
    if make_sampler is not None:
        recipe = replace(recipe, make_sampler=make_sampler)
    stages = Stages(recipe, run, base).all()
    if stage is not None and stage not in stages:
        message = f"no stage {stage!r}; the stages are {', '.join(stages)}"
        raise UnknownNameError(message)
    run.remember(recipe.settings())
    for number, (each, work) in enumerate(stages.items(), start=1):
        if stage in (None, each) and not run.is_done(each):
            took = {name: float(values["seconds"]) for name, values in run.counts().items()}
            left = spoken(time_left(recipe.expected, took, [n for n in stages if n not in took]))
            print(f"stage {number}/{len(stages)} {each} (time left: {left})", flush=True)  # noqa: T201 - progress of a command
            run.stage(each, work)


def _recipe(name: str) -> "Recipe":
    from models.recipes import first_light, paper  # noqa: PLC0415

    made = {
        "first_light": first_light.first_light,
        "paper": paper.paper,
        "smoke": paper.smoke,
    }
    if name not in made:
        message = f"no recipe {name!r}; the recipes are {', '.join(RECIPES)}"
        raise UnknownNameError(message)
    return made[name]()
