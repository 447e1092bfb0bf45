"""The sets of questions, with seeds of their own; that none of them was trained on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from glore_models.data import sources
from glore_models.data.files import read_json, read_jsonl, write_jsonl
from glore_models.data.problems import Problem, Split, text_key
from glore_models.data.run_folder import questions_in, training_files

GSM8K = "gsm8k"


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """A set of questions that no recipe trains on, nor with the seed.

    `source` is that of `glore_models.data.sources`, by default the name of the set; `gsm8k` stands
    for the file that a user names. The first `looked_at` questions of the sets in `without` are
    not in it.
    """

    seed: int
    size: int  # when nothing else is asked for
    what: str
    source: str | None = None
    split: Split = "test"
    without: tuple[str, ...] = ()
    looked_at: int = 1000  # how many of this set the kept run was asked


SETS: Mapping[str, QuestionSet] = MappingProxyType(
    {
        "easy": QuestionSet(900_001, 500, "gsm_symbolic, unseen numbers, easy tier"),
        "all": QuestionSet(900_002, 500, "gsm_symbolic, unseen numbers, all tiers"),
        "templates_easy": QuestionSet(900_003, 250, "gsm_symbolic, unseen templates, easy tier"),
        "templates_all": QuestionSet(900_004, 250, "gsm_symbolic, unseen templates, all tiers"),
        GSM8K: QuestionSet(
            900_005,
            500,
            "part of GSM8K's training file held out from training",
            looked_at=500,
        ),
    }
)

# For choosing between models, as thresholds are chosen: never for the tables of a choice's worth.
VALIDATION_SETS: Mapping[str, QuestionSet] = MappingProxyType(
    {
        "validation_easy": QuestionSet(
            900_011, 200, "gsm_symbolic, validation split, easy tier", "easy", "validation"
        ),
        "validation_all": QuestionSet(
            900_012, 100, "gsm_symbolic, validation split, all tiers", "all", "validation"
        ),
    }
)

# Drawn after verifiers, rounds and thresholds were frozen, for the tables of selectors and rounds;
# those with a 2 after it was chosen what `gated` refines and where a refinement stops.
FRESH_SETS: Mapping[str, QuestionSet] = MappingProxyType(
    {
        "fresh_easy": QuestionSet(
            910_001,
            1000,
            "gsm_symbolic, unseen numbers, easy tier",
            "easy",
            without=("easy", "all"),
        ),
        "fresh_all": QuestionSet(
            910_002, 1000, "gsm_symbolic, unseen numbers, all tiers", "all", without=("easy", "all")
        ),
        "fresh_templates": QuestionSet(
            910_003,
            250,
            "gsm_symbolic, unseen templates, all tiers",
            "templates_all",
            without=("templates_easy", "templates_all"),
        ),
        "fresh_gsm8k": QuestionSet(
            910_005,
            200,
            "part of GSM8K's training file held out from training",
            GSM8K,
            without=(GSM8K,),
        ),
        "fresh2_easy": QuestionSet(
            920_001,
            1000,
            "gsm_symbolic, unseen numbers, easy tier",
            "easy",
            without=("easy", "all", "fresh_easy", "fresh_all"),
        ),
        "fresh2_all": QuestionSet(
            920_002,
            1000,
            "gsm_symbolic, unseen numbers, all tiers",
            "all",
            without=("easy", "all", "fresh_easy", "fresh_all"),
        ),
    }
)

ALL_SETS: Mapping[str, QuestionSet] = MappingProxyType({**SETS, **VALIDATION_SETS, **FRESH_SETS})

# Sets of one kind, counted together too.
POOLS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "unseen numbers": ("easy", "all"),
        "unseen templates": ("templates_easy", "templates_all"),
    }
)


def parse_sizes(text: str) -> dict[str, int]:
    """`easy=500,gsm8k=100` as a size per set. Raises ValueError naming the wrong part."""
    sizes: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        if name not in ALL_SETS:
            message = f"no set {name!r}; the sets are {', '.join(ALL_SETS)}"
            raise ValueError(message)
        if not number.isdigit() or int(number) == 0:
            message = f"{part.strip()!r} is no size; write {name}={ALL_SETS[name].size}"
            raise ValueError(message)
        sizes[name] = int(number)
    return sizes


def load_set(name: str, size: int, gsm8k: Path | None, stored: Path) -> list[Problem]:
    """The first `size` questions of a set, the same every time; stored in the file `stored`.

    Rows are found again by the ids of the questions, so those of another file or seed must
    not pass for them. Raises ValueError for such, and when there are too few questions;
    OSError when the GSM8K file cannot be read.
    """
    wanted = ALL_SETS[name]
    problems = _load(name, size, gsm8k)
    before = list(read_jsonl(stored, Problem)) if stored.exists() else []
    if any(_content(new) != _content(old) for new, old in zip(problems, before, strict=False)):
        message = (
            f"{stored} holds questions of another file or seed than {_source(name, gsm8k)}, "
            f"seed {wanted.seed}; "
            f"name the file that was used, or another run folder"
        )
        raise ValueError(message)
    if len(before) < size:
        stored.parent.mkdir(parents=True, exist_ok=True)
        write_jsonl(stored, problems)
    return problems


def of_unseen_numbers(name: str) -> bool:
    """Whether a set holds known templates with numbers that nothing was trained on."""
    return (ALL_SETS[name].source or name) in {"easy", "all"}


def needs_gsm8k(name: str) -> bool:
    """Whether a set is drawn from GSM8K's training file."""
    return GSM8K in (name, ALL_SETS[name].source)


def _load(name: str, size: int, gsm8k: Path | None) -> list[Problem]:
    source, wanted = _source(name, gsm8k), ALL_SETS[name]
    seen = {
        text_key(problem.question)
        for other in wanted.without
        for problem in _load(other, ALL_SETS[other].looked_at, gsm8k)
    }
    problems = sources.load(source, size + len(seen), wanted.seed, wanted.split)
    return [each for each in problems if text_key(each.question) not in seen][:size]


def _source(name: str, gsm8k: Path | None) -> str:
    if not needs_gsm8k(name):
        return ALL_SETS[name].source or name
    if gsm8k is None:
        message = f"the set {name} needs GSM8K's training file (--gsm8k FILE)"
        raise ValueError(message)
    return str(gsm8k)


def _content(problem: Problem) -> tuple[str, str, str]:
    return problem.id, problem.question, problem.answer


_TEMPLATES = "templates_"


class TrainedOnError(ValueError):
    """A question of a set stands in a training file of the run; the text says which."""


def check_unseen(run: Path, sets: Mapping[str, Sequence[Problem]]) -> None:
    """Look for every question in the training files of a run folder, by normalised text.

    Raises TrainedOnError.
    """
    questions = {name: {text_key(p.question) for p in problems} for name, problems in sets.items()}
    for file in training_files(run):
        seen = set(questions_in(file))
        for name, keys in questions.items():
            if found := keys & seen:
                message = f"{file} holds {len(found)} questions of the set {name}: {min(found)!r}"
                raise TrainedOnError(message)


def template_notes(run: Path, sets: Iterable[str]) -> tuple[str, ...]:
    """What to say of the sets of held-out templates: nothing when they are known to be held out.

    A run whose stage `held_out` looked for their questions was made after whole templates were
    held out.
    """
    if not any(name.startswith(_TEMPLATES) for name in sets):
        return ()
    looked_for = read_json(run / "held_out.done.json")
    if f"{_TEMPLATES}easy questions" in looked_for:
        return ()
    note = (
        "this run folder has no record that whole templates were held out from training "
        "(`held_out.done.json`). The models may have been trained on those of `templates_easy` "
        "and `templates_all`, and what is said of unseen templates may be wrong."
    )
    return (note,)
