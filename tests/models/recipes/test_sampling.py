"""The sampling stages after a kill: nothing is lost, nothing stays half done."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from models.data.files import read_jsonl
from models.data.problems import Problem
from models.data.rollouts import Sample, make_sample
from models.recipes import sampling
from models.sampling.port import Drawing, Rollout

PROBLEMS = [Problem(f"p{i}", f"What is {i} + 1?", str(i + 1), "", "s") for i in range(6)]
DRAWING = Drawing(n=3, temperature=0.8, max_tokens=9)


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
    found = Counter((row.problem, row.solution) for row in read_jsonl(out, Sample))
    assert found == {(p.id, f"try {i}\n#### 1"): 1 for p in PROBLEMS for i in range(3)}
    assert counts["samples"] == 18
    assert counts["tokens"] == 18 * 4


def test_a_solution_that_states_no_answer_is_not_labelled() -> None:
    cut_off = make_sample("p", "q", "4", "2 + 2\nand 2\nand 2")
    wrong = make_sample("p", "q", "4", "2 + 2 = 5\n#### 5")
    right = make_sample("p", "q", "4", "2 + 2 = 4\n#### 4")
    chosen = sampling.choose_labelled([cut_off, wrong, right], 3, 0.65, seed=1)
    assert set(chosen) == {wrong, right}
