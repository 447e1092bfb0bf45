"""`glore train RECIPE`: carries out a recipe; everything it needs is imported then."""

import importlib.util
import os
import shlex
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import typer

from glore import installation
from glore.commands.errors import CommandFailedError, WrongArgumentError
from glore_models.data import sources
from glore_models.data.locks import InUseError
from glore_models.recipes import RECIPES, UnknownNameError, run_recipe
from glore_models.recipes.keep import unpack
from glore_models.recipes.run import OtherRecipeError
from glore_models.sampling.choice import ChoiceError, SamplerChoice, make
from glore_models.sampling.vllm import SamplingError
from glore_models.serving.cache import default_cache
from glore_models.serving.errors import ServingError

_NEEDED = (
    "torch",
    "transformers",
    "peft",
    "gguf",
    "safetensors",
    "tqdm",
    "reasoning_gym",
    "matplotlib",
)


def choose_sampler(
    kind: str | None,
    *,
    engine_urls: Sequence[str],
    ray_address: str | None,
    ray_dir: Path | None,
    engines: int | None,
    concurrency: int,
) -> SamplerChoice | None:
    """The sampler that the options ask for; None for the recipe's own.

    The engines' key, where they want one, is GLORE_GENERATION__API_KEY. Raises
    WrongArgumentError for options that contradict each other, or a `ray_dir` that is not there.
    """
    if kind is None:
        if engine_urls or ray_address or engines:
            message = "--engine-url, --ray-address and --engines need --sampler vllm or ray"
            raise WrongArgumentError(message)
        return None
    try:
        return SamplerChoice(
            kind,
            engine_urls=tuple(url.rstrip("/") for url in engine_urls),
            ray_address=ray_address,
            ray_dir=ray_dir,
            engines=engines,
            concurrency=concurrency,
            api_key=os.environ.get("GLORE_GENERATION__API_KEY"),
        )
    except ChoiceError as error:
        raise WrongArgumentError(str(error)) from error


def run_train(
    recipe: str,
    *,
    run_dir: Path,
    stage: str | None,
    cache: Path | None,
    choice: SamplerChoice | None = None,
    start_from: Path | None = None,
) -> None:
    """Make or fetch the base, then carry out `recipe` in `run_dir`, sampling as chosen.

    With `start_from`, a run that was kept (`glore_models.recipes.keep`), the folder begins as that.
    Prints where the bundle is and how it is served.

    Raises WrongArgumentError for a recipe or stage that there is not and for a GSM8K-format file
    (GLORE_GSM8K) that cannot be read or is too small, CommandFailedError when the base cannot
    be made, an extra is missing, sampling fails, a held-out question stands in a training file,
    a file cannot be read or written, or another process works in `run_dir`.
    """
    if recipe not in RECIPES:  # this and what follows: before the base is made
        message = f"no recipe {recipe!r}; the recipes are {', '.join(RECIPES)}"
        raise WrongArgumentError(message)
    _check_installed(choice)
    _check_gsm8k()
    try:
        if start_from is not None:
            unpack(start_from, run_dir)
    except OSError as error:
        raise WrongArgumentError(str(error)) from error
    # these load torch
    from glore_models.recipes.leakage import LeakageError
    from glore_models.serving.build import ensure_base

    try:
        base = ensure_base(cache.expanduser().resolve() if cache else default_cache())
        with make(choice) if choice else nullcontext() as make_sampler:
            bundle = run_recipe(recipe, run_dir, stage=stage, base=base, make_sampler=make_sampler)
    except ServingError as error:
        message = f"{error.problem} {error.way_out}"
        raise CommandFailedError(message) from error
    except OSError as error:
        raise CommandFailedError(_told(error, run_dir)) from error
    except (InUseError, LeakageError, SamplingError) as error:
        raise CommandFailedError(str(error)) from error
    except (UnknownNameError, OtherRecipeError, sources.SourceError) as error:
        raise WrongArgumentError(str(error)) from error
    if bundle is not None:
        typer.echo(f"The bundle is in {bundle}. To serve it:\n  {serving(bundle)}")


def serving(bundle: Path) -> str:
    """The command line that serves a bundle."""
    return f"GLORE_BUNDLE={shlex.quote(str(bundle.resolve()))} {installation.starting()}"


def _told(error: OSError, run_dir: Path) -> str:
    """What went wrong with a file, in one line."""
    if not error.filename:
        return " ".join(str(error).split())
    if isinstance(error, FileNotFoundError) and Path(error.filename).is_relative_to(run_dir):
        return f"there is no {error.filename} yet; an earlier stage makes it"
    return f"{error.filename}: {error.strerror}"


def _check_gsm8k() -> None:
    """Read the file that recipes take GSM8K from to its end, if there is one to be."""
    named = os.environ.get("GLORE_GSM8K")
    try:
        for _ in sources.gsm8k(Path(named)) if named else ():
            pass
    except OSError as error:
        message = f"GLORE_GSM8K: {named}: {error.strerror or error}"
        raise WrongArgumentError(message) from error
    except sources.SourceError as error:
        message = f"GLORE_GSM8K: {error}"
        raise WrongArgumentError(message) from error


def _check_installed(choice: SamplerChoice | None) -> None:
    """Raises CommandFailedError, naming the first package that is missing and what installs it."""
    needed = dict.fromkeys(_NEEDED, "training")
    if choice and choice.kind == "ray":
        needed["ray"] = "the sampler ray"
    if choice and choice.kind != "local" and not (choice.engine_urls or choice.ray_address):
        needed["vllm"] = f"the sampler {choice.kind}"
    for name, what in needed.items():
        if importlib.util.find_spec(name) is None:
            message = f"{what} needs {installation.missing(name)}"
            raise CommandFailedError(message)
