"""The figures of results/verifiers.md: `python -m tests.service.verifiers.figures [GSM8K FILE]`.

What `arithmetic` says of people's solutions (GSM8K's training file, if it is there) and of the
kept run's samples. No test set is read.
"""

import gzip
import json
import os
import random
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, product
from pathlib import Path
from typing import Any

from glore.formats.steps import closed, prefix_before, split_steps
from glore.verifiers.arithmetic import Arithmetic
from glore.verifiers.ports import Finding

ROOT = Path(__file__).parents[3]
KEPT = ROOT / "models/kept/paper_gpu"
TIERS = {"easy": "1", "all": "2"}  # the last digit of the seed in a problem's name


@dataclass(frozen=True, slots=True)
class Sample:
    """A solution of a question, and whether its answer is right."""

    tier: str
    question: str
    solution: str
    right: bool


def gsm8k() -> Path | None:
    """GSM8K's training file: GLORE_GSM8K, else beside the repository; None if it is not there."""
    named = os.environ.get("GLORE_GSM8K")
    path = Path(named) if named else ROOT.parent / "shared/data/gsm8k/train.jsonl"
    return path if path.is_file() else None


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL file, which may be compressed."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def findings(question: str, solution: str) -> tuple[Finding, ...]:
    """What the verifier finds in a solution."""
    return Arithmetic().check(question, [step.text for step in split_steps(solution)])


def human_findings(path: Path, *, annotated: bool) -> Iterator[tuple[int, Finding]]:
    """The findings in GSM8K's solutions with the numbers of their rows."""
    for index, row in enumerate(read(path)):
        solution = row["answer"] if annotated else re.sub(r"<<[^<>]*>>", "", row["answer"])
        yield from ((index, finding) for finding in findings(row["question"], solution))


def sampled(name: str) -> Iterator[Sample]:
    """The different samples of a file of the kept run."""
    rows = read(KEPT / f"{name}.jsonl.gz")
    yield from distinct(Sample(*_key(row), row["solution"], row["right"]) for row in rows)


def continued(name: str, stored: int) -> Iterator[Sample]:
    """The different solutions that go on from the first `kept` steps of another."""
    yield from distinct(
        Sample(*_key(row), closed(prefix_before(row["solution"], stored)) + text, right)
        for row in read(KEPT / f"{name}.jsonl.gz")
        if row["kept"] == stored
        for text, right in zip(row["continuations"], row["right"], strict=True)
    )


def distinct(samples: Iterable[Sample]) -> Iterator[Sample]:
    """Each sample once."""
    yield from dict.fromkeys(samples)


def right_and_refuted(count: int) -> Iterator[tuple[Sample, tuple[Finding, ...]]]:
    """Right training samples with findings, `count` of them, drawn at random."""
    samples = [sample for sample in sampled("samples") if sample.right]
    random.Random(13).shuffle(samples)
    pairs = ((sample, findings(sample.question, sample.solution)) for sample in samples)
    yield from islice(((sample, found) for sample, found in pairs if found), count)


def row(samples: Iterable[Sample]) -> str:
    """Cells of the page's table: refuted of the wrong and of the right ones, pairs, AUC.

    AUC within questions: a sample without findings beats one with findings of the same question,
    a tie counts half.
    """
    verdicts: dict[str, tuple[list[bool], list[bool]]] = defaultdict(lambda: ([], []))
    for sample in samples:
        refuted = bool(findings(sample.question, sample.solution))
        verdicts[sample.question][sample.right].append(refuted)
    wrongs, rights = ([each for pair in verdicts.values() for each in pair[k]] for k in (0, 1))
    pairs = [pair for lists in verdicts.values() for pair in product(*lists)]
    cells = [f"{sum(each)}/{len(each)} {sum(each) / len(each):.1%}" for each in (wrongs, rights)]
    won = sum(Fraction(1 + wrong - right, 2) for wrong, right in pairs)
    cells += [f"{len(pairs):,}", f"{float(won / len(pairs)):.3f}"] if pairs else ["-", "-"]
    return " | ".join(cells)


def main() -> None:
    """Print everything."""
    path = gsm8k()
    for annotated in (True, False) if path else ():
        assert path
        rows = [index for index, _ in human_findings(path, annotated=annotated)]
        kind = "annotated" if annotated else "stripped"
        write(f"GSM8K, {kind}: {len(rows)} equations in {len(set(rows))} solutions")
    several = sum(len(found) > 1 for _, found in right_and_refuted(200))
    write(f"right and refuted, 200 drawn: {several} with several false equations")
    sets = {
        "validation drafts": [*sampled("validation_samples")],
        "validation, from the first step on": [*continued("validation_rollouts", 1)],
        "training samples": [*sampled("samples")],
    }
    for name, samples in sets.items():
        for tier in TIERS:
            write(f"| {name} | {tier} | {row(each for each in samples if each.tier == tier)} |")


def write(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")


def _key(row: dict[str, Any]) -> tuple[str, str]:
    seed = row["problem"].split("-")[1]
    tier = next(tier for tier, digit in TIERS.items() if seed.endswith(digit))
    return tier, row["question"]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        os.environ["GLORE_GSM8K"] = sys.argv[1]
    main()
