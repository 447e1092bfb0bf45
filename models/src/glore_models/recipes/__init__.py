"""Recipes: functions that return the whole configuration of a run, and what carries it out."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glore_models.recipes.recipe import Recipe
    from glore_models.sampling.port import MakeSampler

RECIPES = ("first_light", "paper", "paper_gpu", "smoke")


class UnknownNameError(ValueError):
    """There is no such recipe, or no such stage; the text lists those there are."""


def run_recipe(
    name: str,
    run_dir: Path,
    *,
    base: Path,
    stage: str | None = None,
    make_sampler: "MakeSampler | None" = None,
) -> Path | None:
    """Carry out recipe `name` in `run_dir`, or one stage of it; done stages are skipped.

    `base` is the folder of the base checkpoint, `make_sampler` goes before the recipe's own.
    Prints what each stage does, and what it counted. Returns the folder of the bundle when what
    was asked for ends with it.

    Raises UnknownNameError, OtherRecipeError when `run_dir` holds a run with other settings, or
    InUseError when another process carries one out there: both would append to the same files.
    OSError or SourceError (`glore_models.data.sources`) for a GSM8K-format file that will not do.
    """
    # torch is loaded only when something is trained
    from glore_models.data.locks import lock_folder
    from glore_models.recipes.recipe import ADDITIVE_SETTINGS, LATER_SETTINGS
    from glore_models.recipes.run import Run
    from glore_models.recipes.stages import Stages, counted, purpose

    run, recipe = Run(run_dir), _recipe(name)
    if make_sampler is not None:
        recipe = replace(recipe, make_sampler=make_sampler)
    stages = Stages(recipe, run, base).all()
    if stage is not None and stage not in stages:
        message = f"no stage {stage!r}; the stages are {', '.join(stages)}"
        raise UnknownNameError(message)
    with lock_folder(run_dir):
        run.remember(recipe.settings(), ADDITIVE_SETTINGS, LATER_SETTINGS)
        wanted = tuple(stages) if stage is None else (stage,)
        for number, (each, work) in enumerate(stages.items(), start=1):
            if each in wanted and not run.is_done(each):
                named = f"stage {number}/{len(stages)} {each}"
                print(f"{named}: {purpose(each)}", flush=True)  # noqa: T201 - progress of a command
                for line in counted(run.stage(each, work)):
                    print(f"{named}: {line}", flush=True)  # noqa: T201
    return run.path("bundle") if "bundle" in wanted and run.is_done("bundle") else None


def _recipe(name: str) -> "Recipe":
    from glore_models.recipes import catalog

    if name not in RECIPES:
        message = f"no recipe {name!r}; the recipes are {', '.join(RECIPES)}"
        raise UnknownNameError(message)
    recipe: Recipe = getattr(catalog, name)()
    return recipe
