"""Counts before and after each filter, and the halves of the ORM's samples."""

import gzip
import json
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from glore_models.data.examples import ScoreExample
from glore_models.data.files import read_jsonl, write_jsonl
from glore_models.data.labels import BAD, GOOD
from glore_models.data.rollouts import PrefixRollouts, make_sample
from glore_models.recipes import sampling
from glore_models.recipes.catalog import paper_gpu, smoke
from glore_models.recipes.labelling import Labelling, half_right, target_counts
from glore_models.recipes.run import Run
from glore_models.recipes.stages import Stages, choosing_counts
from glore_models.training import adapters
from glore_models.training.loop import LoopReport
from tests.models.data.test_labels import WRONG, rollouts

KEPT = Path(__file__).parents[3] / "models" / "kept" / "paper_gpu"
RIGHT = "2 + 3 = 5\n5 * 4 = 20\n#### 20"
RIGHTS = [make_sample(f"r{i}", "q", "20", RIGHT) for i in range(7)]
WRONGS = [make_sample(f"w{i}", "q", "20", WRONG) for i in range(4)]


@pytest.mark.parametrize(("most", "each"), [(100, 4), (6, 3), (5, 2), (1, 0)])
def test_as_many_right_as_wrong_samples_and_no_more_than_wanted(most: int, each: int) -> None:
    for samples in ([*RIGHTS, *WRONGS], [*WRONGS, *RIGHTS]):
        half = half_right(samples, most, seed=1)
        assert len(half) == len(set(half)) == 2 * each
        assert sum(sample.right for sample in half) == each
        assert set(half) <= set(samples)


def test_which_of_the_larger_class_is_chosen_depends_on_the_seed_alone() -> None:
    halves = [half_right([*RIGHTS, *WRONGS], 100, seed) for seed in range(5)]
    assert halves[2] == half_right([*RIGHTS, *WRONGS], 100, seed=2)
    assert len({frozenset(half) for half in halves}) > 1
    assert half_right(RIGHTS, 100, seed=1) == []


def test_every_sample_that_is_not_labelled_is_counted_once() -> None:
    samples = [
        *RIGHTS,
        *WRONGS,
        RIGHTS[0],
        WRONGS[1],
        WRONGS[1],  # three of them again
        make_sample("s", "q", "20", "#### 20"),
        make_sample("c", "q", "20", "2 + 3 = 5\nand then"),
        make_sample("d", "q", "20", "2 + 3 = 5\nand so on"),
    ]
    chosen = sampling.choose_labelled(samples, 6, 0.5, seed=1)
    assert len(chosen) == 6
    counts = choosing_counts(samples, chosen)
    assert counts == {
        "samples": 17,
        "single_step": 1,
        "duplicates": 3,
        "without_answer": 2,
        "not_needed": 5,
    }
    assert sum(counts.values()) - 17 == 17 - 6


def test_solutions_with_nothing_right_to_go_on_with_are_counted() -> None:
    hopeless = [replace(row, problem="h") for row in rollouts(first=(("x", False),))]
    good = [replace(row, problem="g") for row in rollouts(RIGHT, second=(("#### 20", True),))]
    every = [*rollouts(), *hopeless, *good]
    assert target_counts(every, []) == {"solutions_with_error": 2, "without_local_target": 1}
    whole = [make_sample("h", "q", "20", RIGHT)]
    assert target_counts(every, whole) == {"solutions_with_error": 2, "without_local_target": 0}


def test_pairs_and_outcomes_are_counted_before_they_are_cut(tmp_path: Path) -> None:
    run = Run(tmp_path)
    recipe = replace(smoke(), global_pairs=2, drafts_per_pair=1, orm_samples=3)
    empty = make_sample("p", "q", "20", " ")
    write_jsonl(run.path("samples.jsonl"), [*RIGHTS, *WRONGS, empty])
    write_jsonl(run.path("rollouts.jsonl"), rollouts())
    labelling = Labelling(recipe, run)
    counts = labelling.pairs()
    assert (counts["global_pairs_in_all"], counts["global_pairs"]) == (3, 2)
    assert (counts["global_drafts"], counts["without_global_target"]) == (4 + 3, 4)
    assert counts["without_local_target"] == 0
    assert (counts["local_pairs_in_all"], counts["local_pairs"]) == (2, 1)
    counts = labelling.outcomes()
    assert (counts["samples"], counts["without_steps"], counts["orm_samples"]) == (12, 1, 3)


def test_todays_labels_are_those_of_the_stored_run(tmp_path: Path) -> None:
    """Of every step scorer, on the kept rollouts."""
    run = Run(tmp_path)
    run.path("rollouts.jsonl").write_bytes(
        gzip.decompress((KEPT / "rollouts.jsonl.gz").read_bytes())
    )
    counts = Labelling(paper_gpu(), run).steps()
    stored = json.loads((KEPT / "step_examples.done.json").read_text())
    gone = "binary_search_"  # counted once, by a version that is not there any more
    labels = {name for name in stored if name != "seconds" and not name.startswith(gone)}
    assert counts == {name: stored[name] for name in labels}
    by_prefix: dict[tuple[str, str], list[PrefixRollouts]] = defaultdict(list)
    for row in read_jsonl(run.path("rollouts.jsonl"), PrefixRollouts):
        by_prefix[row.prefix].append(row)
    again = [rows for rows in by_prefix.values() if len(rows) > 1]
    assert (len(by_prefix), len(again)) == (23_661, 2_422)
    assert sum(row.tokens for rows in again for row in rows[1:]) == 1_932_494
    assert sum(len({any(row.right) for row in rows}) > 1 for rows in again) == 543
    at: dict[tuple[str, ...], Counter[int]] = defaultdict(Counter)
    for example in read_jsonl(run.path("sorm.jsonl"), ScoreExample):
        for index, label in enumerate(example.labels, start=1):
            at[example.question, *example.steps[:index]][label] += label >= 0
    both = [(labels[GOOD], labels[BAD]) for labels in at.values() if labels[GOOD] and labels[BAD]]
    assert (len(both), sum(map(sum, both)), sum(map(min, both))) == (369, 930, 382)
    matched = Labelling(paper_gpu(), run).matched()
    stored = json.loads((KEPT / "matched_examples.done.json").read_text())
    assert matched == {name: count for name, count in stored.items() if name != "seconds"}
    for name in ("sorm", "sorm_ratio", "sorm_to_error", "orm_matched"):
        labelled = gzip.decompress((KEPT / f"{name}.jsonl.gz").read_bytes())
        assert run.path(f"{name}.jsonl").read_bytes() == labelled, name


def test_the_matched_orm_differs_from_the_sorm_in_labels_alone(tmp_path: Path) -> None:
    """Solutions, order and labelled steps are the SORM's, after all its clean-ups."""
    run = Run(tmp_path)
    solutions = (  # only of the first kind do outcome and rollouts say different things
        *[rollouts()] * 4,
        rollouts(RIGHT, second=(("#### 20", True),)),
        *[rollouts(first=(("x", False),))] * 3,
    )
    rows = [replace(row, problem=f"{i}") for i, group in enumerate(solutions) for row in group]
    write_jsonl(run.path("rollouts.jsonl"), rows)
    labelling = Labelling(smoke(), run)
    labelling.steps()
    counts = labelling.matched()
    sorm, matched = (
        list(read_jsonl(run.path(f"{name}.jsonl"), ScoreExample))
        for name in ("sorm", "orm_matched")
    )
    assert [(m.question, m.steps) for m in matched] == [(s.question, s.steps) for s in sorm]
    assert len(matched) == counts["orm_matched_solutions"] == 8
    differing = taken = 0
    for one, other in zip(matched, sorm, strict=True):
        outcome = int(one.steps[-1] == "#### 20")
        assert one.labels == tuple(-1 if label == -1 else outcome for label in other.labels)
        differing += sum(a != b for a, b in zip(one.labels, other.labels, strict=True))
        taken += other.labels.count(-1)
    assert differing == counts["orm_matched_differing"] > 0
    assert taken == counts["orm_matched_unlabelled"] > 0


def test_matched_labels_of_other_rollouts_are_refused(tmp_path: Path) -> None:
    run = Run(tmp_path)
    write_jsonl(run.path("rollouts.jsonl"), rollouts())
    labelling = Labelling(smoke(), run)
    labelling.steps()
    write_jsonl(run.path("rollouts.jsonl"), rollouts(RIGHT))
    with pytest.raises(ValueError, match="not of the solutions that the SORM learns from"):
        labelling.matched()


def test_examples_without_a_label_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)
    labels = [(1, -1), (-1, -1), (0, 0), (-1, -1), (-1, 0)]
    write_jsonl(run.path("sorm.jsonl"), [ScoreExample("q", ("a", "b"), each) for each in labels])
    monkeypatch.setattr(
        adapters,
        "train_scorer",
        lambda *_given: LoopReport(3, tokens=9, steps=1, seconds=0.0, losses=()),
    )
    counts = Stages(smoke(), run, tmp_path).scorer("sorm", smoke().sorm)
    assert (counts["read"], counts["without_labels"], counts["examples"]) == (5, 2, 3)
