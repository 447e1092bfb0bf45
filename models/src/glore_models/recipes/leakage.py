"""The stage that shows that no test question is trained on, once every training file is there.

The students are trained by then, the reward models and refiners are not. Every question of
every evaluation set, and of the run's own validation and test drafts, is looked for by its
normalised text in every file that a model of the run is trained on.
"""

from collections.abc import Iterator
from pathlib import Path

from glore_models.data import sources
from glore_models.data.files import read_jsonl
from glore_models.data.problems import text_key
from glore_models.data.rollouts import StudentSample
from glore_models.data.run_folder import questions_in, training_files
from glore_models.evaluation.paper.sets import GSM8K, SETS
from glore_models.recipes.recipe import Recipe
from glore_models.recipes.run import Counts, Run


class LeakageError(Exception):
    """A question held out for evaluation stands in a training file; the text says which."""


def evaluation_questions(gsm8k: Path | None) -> dict[str, set[str]]:
    """The normalised questions of every evaluation set, by set."""
    return {
        name: {text_key(problem.question) for problem in sources.load(source, size, seed)}
        for name, source, size, seed in _sets(gsm8k)
    }


def check_held_out(run: Run, recipe: Recipe) -> Counts:
    """How many held-out questions were looked for in how many rows; none may be found.

    Raises LeakageError; FileNotFoundError where a training file of the recipe is missing.
    """
    held = evaluation_questions(recipe.gsm8k)
    for split in ("validation", "test"):
        rows = read_jsonl(run.path(f"{split}_samples.jsonl"), StudentSample)
        held[f"{split} drafts"] = {text_key(row.question) for row in rows}
    counts: Counts = {f"{name} questions": len(keys) for name, keys in held.items()}
    named = [run.path(f"{name}.jsonl") for name in recipe.training_files]
    for file in dict.fromkeys([*named, *training_files(run.folder)]):
        seen = list(questions_in(file))
        for name, keys in held.items():
            if found := keys.intersection(seen):
                message = f"{file.name} holds {len(found)} questions of {name}: {min(found)!r}"
                raise LeakageError(message)
        counts[f"rows of {file.name}"] = len(seen)
    return {**counts, "found": 0}


def _sets(gsm8k: Path | None) -> Iterator[tuple[str, str, int, int]]:
    for name, each in SETS.items():
        if name != GSM8K:
            yield name, name, each.size, each.seed
        elif gsm8k is not None:
            yield name, str(gsm8k), each.size, each.seed
