"""Recipes: functions that return the whole configuration of a run, and what carries it out."""

from pathlib import Path

RECIPES = ("first_light", "smoke")


def run_recipe(
    name: str, run_dir: Path, *, stage: str | None = None, base: Path | None = None
) -> None:
    """Carry out recipe `name` in `run_dir`, or one stage of it; done stages are skipped.

    `base` is the folder of the base checkpoint; without one it is taken from the models'
    cache, made there if need be. Raises ValueError for an unknown name or stage.
    """
    # torch is loaded only when something is trained
    from models.recipes.recipe import Recipe  # noqa: PLC0415
    from models.recipes.run import Run  # noqa: PLC0415
    from models.recipes.stages import Stages  # noqa: PLC0415
    from models.serving.build import ensure_base  # noqa: PLC0415
    from models.serving.cache import default_cache  # noqa: PLC0415

    recipe = _recipe(name)
    assert isinstance(recipe, Recipe)  # noqa: S101 - for the type checker
    run = Run(run_dir)
    stages = Stages(recipe, run, base or ensure_base(default_cache())).all()
    if stage is not None and stage not in stages:
        message = f"no stage {stage!r}; the stages are {', '.join(stages)}"
        raise ValueError(message)
    for each, work in stages.items():
        if stage in (None, each):
            run.stage(each, work)


def _recipe(name: str) -> object:
    if name == "first_light":
        from models.recipes.first_light import first_light  # noqa: PLC0415

        return first_light()
    if name == "smoke":
        from models.recipes.first_light import smoke  # noqa: PLC0415

        return smoke()
    message = f"no recipe {name!r}; the recipes are {', '.join(RECIPES)}"
    raise ValueError(message)
