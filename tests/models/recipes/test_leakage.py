"""No evaluation question is in any training file, by normalised text."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from glore.formats.prompts import global_refiner_prompt, local_refiner_prompt
from glore_models.data import sources
from glore_models.data.examples import CompletionExample
from glore_models.data.files import write_jsonl
from glore_models.data.labels import orm_examples
from glore_models.data.problems import text_key
from glore_models.data.rollouts import make_sample
from glore_models.data.run_folder import questions_in
from glore_models.data.sources import ProblemCounts, mix
from glore_models.evaluation.paper.sets import SETS
from glore_models.recipes import leakage
from glore_models.recipes.catalog import paper, paper_gpu
from glore_models.recipes.leakage import LeakageError, check_held_out, evaluation_questions
from glore_models.recipes.recipe import Recipe
from glore_models.recipes.run import Run
from glore_models.recipes.sampling import tier_problems

RECIPE = replace(paper(), gsm8k=None)
FILES = [f"{name}.jsonl" for name in RECIPE.training_files] + ["of_a_new_stage.jsonl"]
KEPT = Path(__file__).parents[3] / "models" / "kept" / "paper_gpu"


ASKED = {"easy": 1000, "all": 1000}  # of these sets results/figures.md has more than `SETS` says


@pytest.fixture(scope="module")
def held_out() -> dict[str, set[str]]:
    held = evaluation_questions(None)
    for name, size in ASKED.items():
        problems = sources.load(name, size, SETS[name].seed)
        held[name] |= {text_key(problem.question) for problem in problems}
    return held


@pytest.mark.parametrize("recipe", [paper(), paper_gpu()], ids=lambda recipe: recipe.name)
def test_what_a_recipe_trains_on_shares_no_question_with_the_evaluation_sets(
    recipe: Recipe, held_out: dict[str, set[str]]
) -> None:
    """The real recipe's own sizes and seeds, every source of problems."""
    assert recipe.expert_iteration is not None
    problems = mix(recipe.mixture, None)
    rounds = range(1, recipe.rounds + 1)
    tiers = [*map(recipe.expert_iteration.problems_of, rounds), recipe.sampled.problems]
    for each in tiers:
        problems += tier_problems(each, "train", problems)
    problems += tier_problems(recipe.validation, "validation")
    trained = {text_key(problem.question) for problem in problems}
    assert len(trained) > 4000
    assert set(held_out) == {"easy", "all", "templates_easy", "templates_all"}
    for name, questions in held_out.items():
        assert len(questions) == ASKED.get(name, SETS[name].size)
        assert not questions & trained, name


def test_no_question_of_a_gsm8k_file_is_on_both_sides(tmp_path: Path) -> None:
    file = tmp_path / "gsm8k.jsonl"
    rows = [{"question": f"How many are {i} + 1?", "answer": f"#### {i + 1}"} for i in range(8000)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    held = evaluation_questions(file)["gsm8k"]
    mixed = mix(ProblemCounts(easy=0, all=0, gsm8k=5000, drills=0, seed=1), file)
    assert len(held) == SETS["gsm8k"].size
    assert not held & {text_key(problem.question) for problem in mixed}


def test_no_question_of_an_evaluation_set_is_in_the_stored_run(
    held_out: dict[str, set[str]], tmp_path: Path
) -> None:
    """Nor one of its own drafts, in any file that it was trained on or that those came from."""
    unpacked = {}
    for path in KEPT.glob("*.jsonl.gz"):
        unpacked[path.name] = tmp_path / path.stem
        unpacked[path.name].write_bytes(gzip.decompress(path.read_bytes()))
    drafts = {name for name in unpacked if name.startswith(("validation_", "test_"))}
    learnt = {f"{name}.jsonl.gz" for name in paper().training_files}
    assert len(drafts) == 4
    assert learnt - unpacked.keys() == {"student_problems.jsonl.gz", "ei_1_problems.jsonl.gz"}
    held = dict(held_out)
    for name in drafts:
        held[name] = set(questions_in(unpacked[name]))
    for name in unpacked.keys() - drafts:
        seen = set(questions_in(unpacked[name]))
        assert len(seen) > 50, name
        for questions in held.values():
            assert not seen & questions, name


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run whose training files hold one training question each."""
    run = Run(tmp_path)
    write_files(run, "How many are 2 + 2?")
    problems = sources.load("easy", 1, 41, "test")
    for split in ("validation", "test"):
        rows = [make_sample(p.id, p.question, p.answer, p.solution) for p in problems]
        write_jsonl(run.path(f"{split}_samples.jsonl"), rows)
    return run


def write_files(run: Run, question: str, only: str | None = None) -> None:
    """Every training file, or one, with a row about `question`."""
    sample = make_sample("1", question, "4", "2 + 2 = 4\n#### 4")
    prompts = {
        "global_refiner.jsonl": global_refiner_prompt(question, "2 + 2 = 5\n#### 5"),
        "local_refiner.jsonl": local_refiner_prompt(question, "2 + 2 = 5\n#### 5", 0),
    }
    for name in FILES:
        if only in (None, name):
            prompt = prompts.get(name)
            example = CompletionExample(prompt, "#### 4") if prompt else orm_examples([sample])[0]
            write_jsonl(run.path(name), [example])


def test_a_clean_run_is_counted(run: Run) -> None:
    counts = check_held_out(run, RECIPE)
    assert counts["found"] == 0
    assert counts["easy questions"] == SETS["easy"].size
    assert counts["rows of local_refiner.jsonl"] == 1


@pytest.mark.parametrize("file", FILES)
def test_a_test_question_in_any_training_file_is_found(
    run: Run, file: str, monkeypatch: pytest.MonkeyPatch, held_out: dict[str, set[str]]
) -> None:
    monkeypatch.setattr(leakage, "evaluation_questions", lambda _gsm8k: dict(held_out))
    some = min(held_out["templates_easy"])
    write_files(run, f"  {some.upper()} ", only=file)
    with pytest.raises(LeakageError, match=f"{file} holds 1 questions of templates_easy"):
        check_held_out(run, RECIPE)


def test_a_training_file_that_is_missing_is_missed(run: Run) -> None:
    run.path("sorm.jsonl").unlink()
    with pytest.raises(FileNotFoundError):
        check_held_out(run, RECIPE)
