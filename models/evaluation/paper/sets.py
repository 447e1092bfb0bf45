"""The sets of questions: which there are, how large, with which seeds of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from models.data import sources
from models.data.files import read_jsonl, write_jsonl
from models.data.problems import Problem

GSM8K = "gsm8k"


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """A set of test questions; no recipe trains with the seed."""

    seed: int
    size: int  # when nothing else is asked for
    what: str


SETS: Mapping[str, QuestionSet] = MappingProxyType(
    {
        "easy": QuestionSet(900_001, 500, "gsm_symbolic, unseen numbers, easy tier"),
        "all": QuestionSet(900_002, 500, "gsm_symbolic, unseen numbers, all tiers"),
        "templates_easy": QuestionSet(900_003, 250, "gsm_symbolic, unseen templates, easy tier"),
        "templates_all": QuestionSet(900_004, 250, "gsm_symbolic, unseen templates, all tiers"),
        GSM8K: QuestionSet(900_005, 500, "part of GSM8K's training file held out from training"),
    }
)

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
        if name not in SETS:
            message = f"no set {name!r}; the sets are {', '.join(SETS)}"
            raise ValueError(message)
        if not number.isdigit() or int(number) == 0:
            message = f"{part.strip()!r} is no size; write {name}={SETS[name].size}"
            raise ValueError(message)
        sizes[name] = int(number)
    return sizes


def load_set(name: str, size: int, gsm8k: Path | None, kept: Path) -> list[Problem]:
    """The first `size` questions of a set, the same every time; kept in the file `kept`.

    Raises ValueError when there are too few, OSError when the GSM8K file cannot be read.
    """
    if name == GSM8K and gsm8k is None:
        message = "the set gsm8k needs GSM8K's training file (--gsm8k FILE)"
        raise ValueError(message)
    problems = list(read_jsonl(kept, Problem)) if kept.exists() else []
    if len(problems) < size:
        source = str(gsm8k) if name == GSM8K else name
        problems = sources.load(source, size, SETS[name].seed, "test")
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_jsonl(kept, problems)
    return problems[:size]
