"""Refiner pairs from samples and rollouts."""

from glore_models.data.pairs import global_pairs, local_pairs
from glore_models.data.rollouts import make_sample
from tests.models.data.test_labels import WRONG, rollouts

RIGHT = "2 + 3 = 5\n5 * 4 = 20\n#### 20"


def test_a_global_pair_joins_a_wrong_and_a_right_sample_of_one_question() -> None:
    samples = [
        make_sample("p", "q", "20", WRONG),
        make_sample("p", "q", "20", RIGHT),
        make_sample("other", "q2", "7", "#### 7"),
        make_sample("hopeless", "q3", "7", "#### 8"),
    ]
    (pair,) = global_pairs(samples, per_draft=2, seed=1)
    assert pair.prompt == f"Question: q\nDraft:\n{WRONG}\nSolution:\n"
    assert pair.completion == RIGHT


def test_a_draft_gets_as_many_targets_as_are_wanted() -> None:
    texts = (WRONG, RIGHT, RIGHT.replace("2 + 3", "3 + 2"))
    samples = [make_sample("p", "q", "20", text) for text in texts]
    assert len(global_pairs(samples, per_draft=1, seed=1)) == 1
    assert {pair.completion for pair in global_pairs(samples, per_draft=2, seed=1)} == {*texts[1:]}


def test_rollouts_are_samples_for_global_pairs_too() -> None:
    pairs = global_pairs([], per_draft=9, seed=1, rollouts=rollouts())
    assert {pair.completion for pair in pairs} == {RIGHT}
    drafts = {pair.prompt.split("Draft:\n")[1].removesuffix("\nSolution:\n") for pair in pairs}
    assert drafts == {"2 + 3 = 5\nno", WRONG, WRONG.replace("#### 21", "#### 22")}
    assert len(global_pairs([], per_draft=9, seed=1, rollouts=rollouts(), most=2)) == 2


def test_a_local_pair_keeps_the_good_prefix_and_marks_the_first_bad_step() -> None:
    pairs = local_pairs(rollouts(), [], per_draft=1, seed=1)
    (pair,) = pairs
    assert pair.prompt == (
        "Question: q\nDraft:\n2 + 3 = 5\n[BAD] 5 * 4 = 21\n#### 21\nSolution:\n2 + 3 = 5\n"
    )
    assert pair.completion == "5 * 4 = 20\n#### 20"


def test_wrong_rollouts_of_the_bad_prefix_are_further_drafts() -> None:
    pairs = local_pairs(rollouts(), [], per_draft=5, seed=1)
    drafts = [pair.prompt.split("Draft:\n")[1].split("\nSolution:")[0] for pair in pairs]
    assert len(set(drafts)) == len(drafts) == 2  # the sample itself is one of the rollouts
    assert "2 + 3 = 5\n[BAD] 5 * 4 = 21\n#### 22" in drafts


def test_a_bad_first_step_takes_whole_right_samples_as_targets() -> None:
    hopeless = rollouts(first=(("x", False),))
    assert local_pairs(hopeless, [], per_draft=1, seed=1) == []
    (pair,) = local_pairs(hopeless, [make_sample("p", "q", "20", RIGHT)], per_draft=1, seed=1)
    assert pair.prompt.endswith("Solution:\n")
    assert pair.completion == RIGHT


def test_a_solution_without_a_bad_step_gives_no_pair() -> None:
    good = rollouts(RIGHT, second=(("#### 20", True),))
    assert local_pairs(good, [], per_draft=1, seed=1) == []
