"""The sampling stages after a kill: nothing is lost, nothing stays half done."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from glore_models.data.files import read_jsonl
from glore_models.data.problems import Problem
from glore_models.data.rollouts import PrefixRollouts, StudentSample, make_sample
from glore_models.recipes import sampling
from glore_models.sampling.port import Rollout, SamplingParams, StreamingSampler

PROBLEMS = [Problem(f"p{i}", f"What is {i} + 1?", str(i + 1), "", "s") for i in range(6)]
DRAWING = SamplingParams(n=3, temperature=0.8, max_tokens=9)


class Numbered:
    """Every rollout says how many came before it for the same prompt."""

    def sample(
        self, prompts: Sequence[str], *, n: int, temperature: float, max_tokens: int
    ) -> list[list[Rollout]]:
        assert (temperature, max_tokens) == (0.8, 9)
        return [
            [Rollout(f"try {i}\n#### 1", finished=True, tokens=4) for i in range(n)]
            for _ in prompts
        ]


@pytest.mark.parametrize("lines", range(0, 18, 4))
@pytest.mark.parametrize("cut", [0, 15])
def test_a_kill_at_any_row_leaves_every_problem_with_all_its_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: int, cut: int
) -> None:
    monkeypatch.setattr(sampling, "_CHUNK", 2)
    out = tmp_path / "samples.jsonl"
    sampling.sample_solutions(PROBLEMS, Numbered(), out, DRAWING)
    rows = out.read_text().splitlines(keepends=True)
    out.write_text("".join(rows[:lines]) + rows[lines][:cut])
    counts = sampling.sample_solutions(PROBLEMS, Numbered(), out, DRAWING)
    found = Counter((row.problem, row.solution) for row in read_jsonl(out, StudentSample))
    assert found == {(p.id, f"try {i}\n#### 1"): 1 for p in PROBLEMS for i in range(3)}
    assert counts["samples"] == 18
    assert counts["tokens"] == 18 * 4


class Backwards(StreamingSampler):
    """What was asked for last is finished first; a rollout says after which prompt it came."""

    def __init__(self, order: int = -1) -> None:
        self.order = order
        self.asked = Counter[str]()

    def stream(
        self, prompts: Sequence[str], *, n: int, temperature: float, max_tokens: int
    ) -> Iterator[tuple[int, list[Rollout]]]:
        assert (temperature, max_tokens) == (0.8, 9)
        self.asked.update(prompts)
        for index, prompt in list(enumerate(prompts))[:: self.order]:
            name = hashlib.sha256(prompt.encode()).hexdigest()[:4]
            lines = [f"so {name} {i}\n#### {i}" for i in range(n)]
            yield index, [Rollout(line, finished=True, tokens=4) for line in lines]


def test_a_file_does_not_tell_in_which_order_engines_were_finished(tmp_path: Path) -> None:
    one, other = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    sampling.sample_solutions(PROBLEMS, Backwards(), one, DRAWING)
    sampling.sample_solutions(PROBLEMS, Backwards(order=1), other, DRAWING)
    assert one.read_bytes() == other.read_bytes()
    assert [row.problem for row in read_jsonl(one, StudentSample)][::3] == [p.id for p in PROBLEMS]
    one.unlink()
    other.unlink()
    sampling.roll_out_prefixes(SOLUTIONS, Backwards(), one, DRAWING)
    sampling.roll_out_prefixes(SOLUTIONS, Backwards(order=1), other, DRAWING)
    assert one.read_bytes() == other.read_bytes()


START = "3 + 1 = 4"
SOLUTIONS = [
    make_sample("p", "q", "8", f"{START}\n4 + 4 = 8\n#### 8"),
    make_sample("p", "q", "8", f"{START}\n4 * 4 = 16\n#### 16"),
    make_sample("p", "q", "8", f"{START}\n4 + 4 = 8\nso 8\n#### 8"),
    make_sample("other", "r", "4", f"{START}\n#### 4"),
]


def test_a_prefix_that_solutions_of_a_problem_share_is_rolled_out_once(tmp_path: Path) -> None:
    out, sampler = tmp_path / "rollouts.jsonl", Backwards()
    counts = sampling.roll_out_prefixes(SOLUTIONS, sampler, out, DRAWING)
    assert len(sampler.asked) == 5
    assert set(sampler.asked.values()) == {1}
    rows = list(read_jsonl(out, PrefixRollouts))
    cuts = [(row.problem, row.solution, row.kept) for row in rows]
    wanted = [
        (each.problem, each.solution, steps)
        for each, most in zip(SOLUTIONS, (2, 2, 3, 1), strict=True)
        for steps in range(1, most + 1)
    ]
    assert cuts == wanted
    came = {row.prefix: (row.continuations, row.right) for row in rows}
    assert len(came) == 5
    for row in rows:
        assert (row.continuations, row.right) == came[row.prefix]
    assert came["p", f"{START}\n"] != came["other", f"{START}\n"]
    assert counts == {
        "solutions": 4,
        "prefixes": 8,
        "different_prefixes": 5,
        "rollouts": 5 * 3,
        "tokens": 5 * 3 * 4,
    }


@pytest.mark.parametrize("lines", range(8))
@pytest.mark.parametrize("cut", [0, 15])
def test_a_kill_at_any_row_leaves_every_prefix_with_its_rollouts_and_draws_none_twice(
    tmp_path: Path, lines: int, cut: int
) -> None:
    whole, out = tmp_path / "whole.jsonl", tmp_path / "rollouts.jsonl"
    sampling.roll_out_prefixes(SOLUTIONS, Backwards(), whole, DRAWING)
    rows = whole.read_text().splitlines(keepends=True)
    out.write_text("".join(rows[:lines]) + rows[lines][:cut])
    there = {row.prefix for row in read_jsonl(out, PrefixRollouts)}
    sampler = Backwards()
    sampling.roll_out_prefixes(SOLUTIONS, sampler, out, DRAWING)
    assert out.read_bytes() == whole.read_bytes()
    assert sampler.asked.total() == 5 - len(there)


def test_a_solution_that_states_no_answer_is_not_labelled() -> None:
    cut_off = make_sample("p", "q", "4", "2 + 2\nand 2\nand 2")
    wrong = make_sample("p", "q", "4", "2 + 2 = 5\n#### 5")
    right = make_sample("p", "q", "4", "2 + 2 = 4\n#### 4")
    chosen = sampling.choose_labelled([cut_off, wrong, right], 3, 0.65, seed=1)
    assert set(chosen) == {wrong, right}
