"""The sets of questions: which there are, how large, with which seeds of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from models.data import sources
from models.data.files import read_jsonl, write_jsonl
from models.data.problems import Problem, Split

GSM8K = "gsm8k"


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """A set of questions that no recipe trains on, nor with the seed.

    `source` is that of `models.data.sources`, by default the name of the set.
    """

    seed: int
    size: int  # when nothing else is asked for
    what: str
    source: str | None = None
    split: Split = "test"


SETS: Mapping[str, QuestionSet] = MappingProxyType(
    {
        "easy": QuestionSet(900_001, 500, "gsm_symbolic, unseen numbers, easy tier"),
        "all": QuestionSet(900_002, 500, "gsm_symbolic, unseen numbers, all tiers"),
        "templates_easy": QuestionSet(900_003, 250, "gsm_symbolic, unseen templates, easy tier"),
        "templates_all": QuestionSet(900_004, 250, "gsm_symbolic, unseen templates, all tiers"),
        GSM8K: QuestionSet(900_005, 500, "part of GSM8K's training file held out from training"),
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
ALL_SETS: Mapping[str, QuestionSet] = MappingProxyType({**SETS, **VALIDATION_SETS})

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


def load_set(name: str, size: int, gsm8k: Path | None, kept: Path) -> list[Problem]:
    """The first `size` questions of a set, the same every time; kept in the file `kept`.

    Rows are found again by the ids of the questions, so those of another file or seed must
    not pass for them. Raises ValueError for such, and when there are too few questions;
    OSError when the GSM8K file cannot be read.
    """
    if name == GSM8K and gsm8k is None:
        message = "the set gsm8k needs GSM8K's training file (--gsm8k FILE)"
        raise ValueError(message)
    wanted = ALL_SETS[name]
    source = str(gsm8k) if name == GSM8K else wanted.source or name
    problems = sources.load(source, size, wanted.seed, wanted.split)
    before = list(read_jsonl(kept, Problem)) if kept.exists() else []
    if any(_asked(new) != _asked(old) for new, old in zip(problems, before, strict=False)):
        message = (
            f"{kept} holds questions of another file or seed than {source}, seed {wanted.seed}; "
            f"name the file that was used, or another run folder"
        )
        raise ValueError(message)
    if len(before) < size:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_jsonl(kept, problems)
    return problems


def _asked(problem: Problem) -> tuple[str, str, str]:
    return problem.id, problem.question, problem.answer
