"""A finished run as a bundle: five adapters, one head, thresholds, and a card."""

import shutil
from collections.abc import Sequence

import torch
from safetensors.torch import load_file, save_file

from glore.formats.scores import ORM_COLUMN, SORM_COLUMN
from glore_models.recipes.card import write_card
from glore_models.recipes.keep import portable
from glore_models.recipes.recipe import Recipe
from glore_models.recipes.run import Counts, Run
from glore_models.serving.bundle import ADAPTER_FILES

ROLES = ("student", "sorm", "orm", "global_refiner", "local_refiner")
CURVE_FILES = ("sorm_curve.json", "orm_curve.json", "gate_curve.json")  # of the thresholds


def write_bundle(run: Run, recipe: Recipe, stages: Sequence[str]) -> Counts:
    """`<run>/bundle`, laid out as the one that ships. Returns the bytes of each role.

    `head.safetensors` holds `score.weight`, float32, 2 x hidden size: the SORM's row first. The
    curves that the thresholds were read from stand beside them. `stages`, in their order, is
    for the card.
    """
    out = run.path("bundle")
    sizes: Counts = {}
    for role in ROLES:
        adapter = run.path(f"student_{recipe.rounds}" if role == "student" else role)
        (out / role).mkdir(parents=True, exist_ok=True)
        for name in ADAPTER_FILES:
            shutil.copyfile(adapter / name, out / role / name)
        portable(out / role / "adapter_config.json")
        sizes[role] = (out / role / "adapter_model.safetensors").stat().st_size
    columns = sorted([(SORM_COLUMN, "sorm"), (ORM_COLUMN, "orm")])
    rows = [load_file(run.path(role) / "head.safetensors")["score.weight"] for _, role in columns]
    save_file({"score.weight": torch.cat(rows).contiguous()}, out / "head.safetensors")
    for name in ("thresholds.json", *CURVE_FILES):
        shutil.copyfile(run.path(name), out / name)
    write_card(run, recipe, stages, out)
    return sizes
