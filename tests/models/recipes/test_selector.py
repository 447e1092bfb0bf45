import random
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from glore_models.data.examples import ScoreExample, ScorePair
from glore_models.data.rollouts import PrefixRollouts
from glore_models.recipes.selector import Labels, MixedQuestion, mixed, pair_of, within
from glore_models.training.adapters import AdapterConfig, ScoresOf, encode_scores, train_pair_scorer
from glore_models.training.likelihood import LogLikelihood
from glore_models.training.loop import LoopConfig
from glore_models.training.scoring import score_steps

RIGHT, WRONG = "It is 3 + 4 = 7.\n#### 7", "It is 3 + 4 = 8.\n#### 8"


def rollouts(problem: str, stored: int, *texts: tuple[str, bool]) -> PrefixRollouts:
    solution = "First.\nSecond.\n#### 1"
    continuations, right = zip(*texts, strict=True)
    return PrefixRollouts(problem, f"{problem}?", "1", solution, stored, continuations, right)


def test_questions_are_mixed_that_have_solutions_of_both_kinds() -> None:
    rows = [
        rollouts("both", 1, ("a", True), ("b", False), ("b", False)),
        rollouts("both", 2, ("c", True)),
        rollouts("right", 1, ("a", True), ("b", True)),
        rollouts("late", 2, ("a", True), ("b", False)),
    ]
    (one,) = mixed(rows, (1,))
    assert one == MixedQuestion("both?", {"First.\na": True, "First.\nb": False})
    both, late = mixed(rows, (1, 2))
    assert both.right["First.\nSecond.\nc"]
    assert late.question == "late?"


def test_within_counts_the_pairs_of_a_right_and_a_wrong_solution() -> None:
    questions = [
        MixedQuestion("a", {"1": True, "2": False, "3": False}),
        MixedQuestion("b", {"1": False, "2": True}),
    ]
    area = within(questions, [[0.5, 0.4, 0.5], [0.9, 0.1]])
    assert area is not None
    assert area.value == pytest.approx((1 + 0.5 + 0) / 3)


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("pairs", (-1, 1), (-1, 0)),
        ("equations", (1, -1), (0, -1)),
        ("both", (1, 1), (0, 0)),
        ("tokens", (1, 1), (0, 0)),
    ],
)
def test_labels_are_outcomes_equations_or_both(
    kind: Labels, right: tuple[int, ...], wrong: tuple[int, ...]
) -> None:
    pair = pair_of(MixedQuestion("q", {RIGHT: True, WRONG: False}), kind, random.Random(1))
    assert (pair.right.labels, pair.wrong.labels) == (right, wrong)
    assert pair.wrong.steps == ("It is 3 + 4 = 8.", "#### 8")


@pytest.mark.parametrize(
    ("labels", "every_token"), [((-1, -1), False), ((1, 1), False), ((1, 1), True)]
)
def test_a_scorer_learns_from_pairs_alone_with_labels_and_from_every_token(
    tiny_base: Path, tmp_path: Path, labels: tuple[int, int], *, every_token: bool
) -> None:
    other = tuple(min(label, 0) for label in labels)
    pairs = [
        ScorePair(
            ScoreExample(f"{i}?", ("a", "good"), labels), ScoreExample(f"{i}?", ("a", "bad"), other)
        )
        for i in range(12)
    ]
    seen: list[tuple[int, float]] = []

    def measure(tokens: int, scores: ScoresOf) -> None:
        (right, wrong) = scores([("5?", ("a", "good")), ("5?", ("a", "bad"))])
        assert len(right) == len(wrong) == 2
        seen.append((tokens, right[-1] - wrong[-1]))

    loop = LoopConfig(epochs=10, batch_tokens=64, rate=1e-2)
    config = AdapterConfig(rank=4, alpha=8, loop=loop)
    report = train_pair_scorer(
        tiny_base, pairs, config, tmp_path / "s", "s", every_token=every_token, measure=measure
    )
    assert seen[-1][0] == report.tokens
    assert seen[-1][1] > max(1.0, seen[0][1])
    stored = score_steps(tiny_base, tmp_path / "s", [("5?", ("a", "good")), ("5?", ("a", "bad"))])
    assert stored[0][-1] > stored[1][-1]


def test_a_label_at_every_token_is_that_of_its_step(tiny_base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    example = ScoreExample("5?", ("ab", "c"), (1, 0))
    ends = encode_scores(tokenizer, example).targets
    targets = encode_scores(tokenizer, example, every_token=True).targets
    assert ends[-5:] == (-100, -100, 1, -100, 0)
    assert targets[-5:] == (1, 1, 1, 0, 0)
    assert set(targets[:-5]) == {-100}


def test_the_log_likelihood_is_of_every_token_and_the_end(tiny_base: Path) -> None:
    student = LogLikelihood(tiny_base)
    found = student.of("How many?", "ab")
    assert len(found) == 3  # two letters and the end
    assert all(each < 0 for each in found)
    assert student.of("How many?", "b")[0] != found[0]
