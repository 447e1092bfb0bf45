"""Which scores tell solutions of one question apart, and whether one can be trained.

```
python -m glore_models.recipes.selector RUN                  # scores that are there
python -m glore_models.recipes.selector RUN --train pairs    # a new one, with its curve
```

All are measured on validation questions of the run folder RUN, over different continuations of the
first step of a draft: the AUC within questions. What is trained learns from the same of training
questions, and is written to `RUN/selector_<kind>_<rank>`.
"""

import argparse
import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from glore.formats.steps import prefix_before
from glore.verifiers.arithmetic import Arithmetic
from glore_models.data.examples import ScoreExample, ScorePair
from glore_models.data.files import read_jsonl
from glore_models.data.rollouts import PrefixRollouts, steps_of
from glore_models.data.run_folder import RunModels
from glore_models.evaluation.intervals import Estimate, auc_within, pairs_won
from glore_models.serving.cache import default_cache

if TYPE_CHECKING:
    from glore_models.training.likelihood import LogLikelihood

Labels: TypeAlias = Literal["pairs", "equations", "both", "tokens"]
Score: TypeAlias = Callable[[str, str], float]  # question, solution
_MARK: Final = 50_000  # tokens between two measurements


@dataclass(frozen=True, slots=True)
class MixedQuestion:
    """A question with right and wrong solutions, all different: whether each is right, by text."""

    question: str
    right: Mapping[str, bool]


def mixed(rows: Iterable[PrefixRollouts], after_steps: Sequence[int]) -> list[MixedQuestion]:
    """The questions of rollouts from so many steps on that have solutions of both kinds."""
    found: dict[str, tuple[str, dict[str, bool]]] = {}
    for row in rows:
        if row.kept in after_steps:
            prefix = prefix_before(row.solution, row.kept)
            texts = found.setdefault(row.problem, (row.question, {}))[1]
            for text, right in zip(row.continuations, row.right, strict=True):
                texts[(prefix + text).strip()] = right
    return [
        MixedQuestion(question, texts)
        for question, texts in found.values()
        if len(set(texts.values())) == 2  # noqa: PLR2004 - right and wrong
    ]


def within(
    questions: Sequence[MixedQuestion], scores: Sequence[Sequence[float]]
) -> Estimate | None:
    """The AUC within questions; `scores` of each question are in the order of its texts."""
    return auc_within(
        [
            list(zip(of, question.right.values(), strict=True))
            for question, of in zip(questions, scores, strict=True)
        ]
    )


def pair_of(question: MixedQuestion, kind: Labels, rng: random.Random) -> ScorePair:
    """One right and one wrong solution, with the labels that the loss of this kind wants.

    "pairs" labels the last step by the outcome, "equations" the steps with an equals sign by
    whether the arithmetic verifier refutes them, "both" does both. "tokens" labels every step by
    the outcome, for the token-level loss of Cobbe et al. 2021.
    """
    right = rng.choice([text for text, good in question.right.items() if good])
    wrong = rng.choice([text for text, good in question.right.items() if not good])
    return ScorePair(
        _example(question.question, right, kind, outcome=1),
        _example(question.question, wrong, kind, outcome=0),
    )


def _example(question: str, solution: str, kind: Labels, *, outcome: int) -> ScoreExample:
    steps = steps_of(solution)
    if kind == "tokens":
        return ScoreExample(question, steps, (outcome,) * len(steps))
    labels = [-1] * len(steps)
    if kind != "pairs":
        refuted = {finding.step for finding in Arithmetic().check(question, steps)}
        labels = [
            0 if index in refuted else 1 if "=" in step else -1 for index, step in enumerate(steps)
        ]
    if kind != "equations":
        labels[-1] = outcome
    return ScoreExample(question, steps, tuple(labels))


def train(
    run: Path, kind: Labels, tokens: int, rank: int, questions: Sequence[MixedQuestion]
) -> None:
    """Train on about so many tokens, and print the AUC on `questions` as it goes.

    The adapter has `rank`, and is scaled by 2 whatever the rank.
    """
    name = f"selector_{kind}_{rank}"
    from transformers import AutoTokenizer

    from glore_models.training.adapters import (
        AdapterConfig,
        ScoresOf,
        encode_scores,
        train_pair_scorer,
    )
    from glore_models.training.loop import LoopConfig

    base = RunModels(run).adapted
    tokenizer = AutoTokenizer.from_pretrained(base)
    rng = random.Random(1)
    groups = mixed(read_jsonl(run / "rollouts.jsonl", PrefixRollouts), (1, 2))
    rng.shuffle(groups)
    pairs: list[ScorePair] = []
    size = 0
    while size < tokens:
        pairs.append(pair_of(groups[len(pairs) % len(groups)], kind, rng))
        size += sum(
            len(encode_scores(tokenizer, each).ids) for each in (pairs[-1].right, pairs[-1].wrong)
        )
    _say(f"{len(pairs)} pairs of {len(groups)} questions, {size} tokens")
    due = 0

    def measure(done: int, scores: ScoresOf) -> None:
        nonlocal due
        if done < due and done < size:
            return
        due = done + _MARK
        found = [
            scores([(each.question, steps_of(text)) for text in each.right]) for each in questions
        ]
        for step, of in (("last step", lambda each: each[-1]), ("lowest step", min)):
            area = within(questions, [[of(each) for each in group] for group in found])
            _say(f"| {kind}, rank {rank}, {step} | {done} | {_shown(area)} |")

    loop = LoopConfig(batch_tokens=2048, rate=5e-4)
    train_pair_scorer(
        base,
        pairs,
        AdapterConfig(rank=rank, alpha=2 * rank, loop=loop),
        run / name,
        name,
        pair_weight=0.0 if kind in {"equations", "tokens"} else 1.0,
        every_token=kind == "tokens",
        measure=measure,
    )


def untrained(
    run: Path, untrained_base: Path, questions: Sequence[MixedQuestion]
) -> dict[str, list[list[float]]]:
    """By name, the scores of each question's texts that need no training.

    Likelihoods are the last student's, unless a name says otherwise.
    """
    from glore_models.training.likelihood import LogLikelihood
    from glore_models.training.scoring import LocalStepScorer

    base = RunModels(run).adapted
    found: dict[str, list[list[float]]] = {}
    for role in ("orm", "sorm"):
        scorer = LocalStepScorer(base, run / role)
        scores = [
            scorer.score([(each.question, steps_of(text)) for text in each.right])
            for each in questions
        ]
        found[f"{role.upper()}, last step"] = [[s[-1] for s in group] for group in scores]
        found[f"{role.upper()}, lowest step"] = [[min(s) for s in group] for group in scores]
    of_ei, of_sft, of_base = (
        _likelihoods(LogLikelihood(model), questions)
        for model in (RunModels(run).adapted, RunModels(run).student("sft"), untrained_base)
    )
    found["log-likelihood"] = _totals(of_ei)
    found["log-likelihood per token"] = [[sum(t) / len(t) for t in group] for group in of_ei]
    found["lowest token"] = [[min(each) for each in group] for group in of_ei]
    found["SFT student's log-likelihood"] = _totals(of_sft)
    for name, other in (("the SFT student", of_sft), ("the base", of_base)):
        found[f"log-likelihood ratio against {name}"] = [
            [ours - theirs for ours, theirs in zip(*groups, strict=True)]
            for groups in zip(_totals(of_ei), _totals(other), strict=True)
        ]
    found["log-likelihood of both students"] = [
        [ours + theirs for ours, theirs in zip(*groups, strict=True)]
        for groups in zip(_totals(of_ei), _totals(of_sft), strict=True)
    ]
    verifier = Arithmetic()
    found["arithmetic verifier"] = [
        [float(not verifier.check(each.question, steps_of(text))) for text in each.right]
        for each in questions
    ]
    return found


def _likelihoods(
    model: "LogLikelihood", questions: Sequence[MixedQuestion]
) -> list[list[tuple[float, ...]]]:
    return [[model.of(each.question, text) for text in each.right] for each in questions]


def _totals(likelihoods: list[list[tuple[float, ...]]]) -> list[list[float]]:
    return [[sum(each) for each in group] for group in likelihoods]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _shown(area: Estimate | None) -> str:
    if area is None:
        return "-"
    interval = area.interval()
    return f"{area.value:.3f} ({interval.low:.3f}-{interval.high:.3f})"


def main() -> None:
    """The command."""
    from glore_models.serving.build import ensure_base

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="the run folder")
    parser.add_argument("--questions", type=int, default=120, help="of validation")
    parser.add_argument("--train", choices=get_args(Labels))
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=200_000)
    given = parser.parse_args()
    questions = mixed(read_jsonl(given.run / "validation_rollouts.jsonl", PrefixRollouts), (1,))
    random.Random(3).shuffle(questions)
    questions = questions[: given.questions]
    pairs = sum(pairs_won([(0.0, right) for right in q.right.values()])[1] for q in questions)
    _say(f"{len(questions)} validation questions, {pairs} pairs of a right and a wrong solution")
    if given.train:
        _say("| score | tokens | AUC within questions (95%) |\n|---|---:|---|")
        train(given.run, given.train, given.tokens, given.rank, questions)
        return
    _say("| score | AUC within questions (95%) |\n|---|---|")
    base = ensure_base(default_cache())
    for name, scores in untrained(given.run, base, questions).items():
        _say(f"| {name} | {_shown(within(questions, scores))} |")


if __name__ == "__main__":
    main()
