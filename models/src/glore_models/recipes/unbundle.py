"""A bundle as a run folder, for what reads run folders: the paper's tables of what is served.

`python -m glore_models.recipes.unbundle BUNDLE RUN` merges the bundle's student into the base of
the model cache (GLORE_CACHE) and gives each reward model its own row of the head. Both students
of the tables, "sft" and "ei", are then the bundle's one.
"""

import argparse
import shutil
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

from glore.formats.scores import ORM_COLUMN, SORM_COLUMN
from glore_models.recipes.bundle import CURVE_FILES
from glore_models.serving.build import builders
from glore_models.serving.bundle import ADAPTER_FILES, HEAD_FILE, ROLES, THRESHOLDS_FILE, Bundle
from glore_models.serving.cache import Cache, default_cache
from glore_models.training.adapters import merge

_COLUMNS = {"sorm": SORM_COLUMN, "orm": ORM_COLUMN}


def unbundle(bundle: Bundle, base: Path, run: Path) -> None:
    """Fill the new folder `run` from `bundle`; `base` is what its student is an adapter on.

    It appears when it is whole: killed, the same call does it again. Raises ServingError when the
    bundle is not whole, FileExistsError when `run` is there.
    """
    bundle.check()
    if run.exists():
        message = f"{run} is there already"
        raise FileExistsError(message)
    beside = run.with_name(f"{run.name}.unbundling")
    shutil.rmtree(beside, ignore_errors=True)  # of a killed attempt
    beside.mkdir(parents=True)
    _fill(bundle, base, beside)
    beside.replace(run)


def _fill(bundle: Bundle, base: Path, run: Path) -> None:
    merge(base, bundle.adapter("student"), run / "merged_0")
    head = load_file(bundle.head)["score.weight"]
    for role in ROLES:
        folder = run / ("student_0" if role == "student" else role)
        folder.mkdir()
        for name in ADAPTER_FILES:
            shutil.copyfile(bundle.adapter(role) / name, folder / name)
        if role in _COLUMNS:
            row = head[_COLUMNS[role] : _COLUMNS[role] + 1].contiguous()
            save_file({"score.weight": row}, folder / HEAD_FILE)
    shutil.copyfile(bundle.thresholds, run / THRESHOLDS_FILE)
    for curve in (bundle.path / name for name in CURVE_FILES):
        if curve.exists():  # bundles of before have none
            shutil.copyfile(curve, run / curve.name)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m glore_models.recipes.unbundle")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("run", type=Path)
    given = parser.parse_args()
    cache = Cache(default_cache(), Bundle(given.bundle))
    cache.make(builders(cache), _report)
    unbundle(cache.bundle, cache.part("base"), given.run)


def _report(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    main()
