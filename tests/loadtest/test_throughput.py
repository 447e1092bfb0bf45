"""The throughput benchmark runs on a toy base; no time is judged here."""

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from glore_models.data.examples import CompletionExample
from glore_models.data.problems import Problem
from glore_models.training.precision import fast_dtype
from loadtest import throughput


def test_both_ways_are_measured_and_compared(
    tiny_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--problems", "2", "--rollouts", "2", "--max-tokens", "4", "--rank", "2"]
    assert throughput.main([str(tiny_base), *small, "--rounds", "1"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    names = ["sampling", "training"]
    if fast_dtype() != torch.float32:
        names.append("training, plain in float32")
    assert [row.split(" | ")[0] for row in rows[1:]] == [f"| {name}" for name in names]
    for row in rows[1:]:
        ours, plain, ratio = (float(cell) for cell in row.strip("| ").split(" | ")[1:])
        assert ours > 0
        assert plain > 0
        assert ratio == pytest.approx(ours / plain, rel=0.05)


def test_the_ratio_is_that_of_the_medians() -> None:
    given = iter([10.0, 2.0, 90.0, 1.0, 20.0, 4.0])
    compared = throughput.compare("x", lambda: next(given), lambda: next(given), rounds=3)
    assert compared.ours == (10.0, 90.0, 20.0)
    assert compared.ratio == 10.0


def test_every_prefix_is_asked_for() -> None:
    problem = Problem("1", "q", "4", "2 + 2 = 4\n#### 4", "s")
    first, second = throughput.prefix_prompts([problem])
    assert first == "Question: q\nSolution:\n"
    assert second == first + "2 + 2 = 4\n"


@pytest.mark.parametrize(
    ("fast", "expected"),
    [
        (torch.float32, [("training", [torch.float32] * 2)]),
        (
            torch.bfloat16,
            [
                ("training", [torch.bfloat16] * 2),
                ("training, plain in float32", [torch.float32] * 2),
            ],
        ),
    ],
)
def test_training_is_compared_in_its_own_precision_and_in_float32_if_that_is_another(
    fast: torch.dtype,
    expected: list[tuple[str, list[torch.dtype]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[torch.dtype] = []

    def plain(_model: Path, _examples: object, _rank: int, dtype: torch.dtype) -> float:
        asked.append(dtype)
        return 2.0

    monkeypatch.setattr(throughput, "fast_dtype", lambda: fast)
    monkeypatch.setattr(throughput, "our_training", lambda *_: 6.0)
    monkeypatch.setattr(throughput, "plain_training", plain)
    compared = throughput.compare_training(Path("model"), [], rank=2, rounds=2)
    assert [(each.name, each.ratio) for each in compared] == [(name, 3.0) for name, _ in expected]
    assert asked == [dtype for _, dtypes in expected for dtype in dtypes]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_plain_loop_multiplies_in_the_precision_it_is_given(
    tiny_base: Path, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.dtype] = []

    def adapted(model: nn.Module, lora: LoraConfig) -> nn.Module:
        model.get_submodule("lm_head").register_forward_hook(
            lambda _module, _given, logits: seen.append(logits.dtype)
        )
        made: nn.Module = get_peft_model(model, lora)
        return made

    monkeypatch.setattr(throughput, "get_peft_model", adapted)
    example = CompletionExample("Question: q\nSolution:\n", "2 + 2 = 4\n#### 4")
    assert throughput.plain_training(tiny_base, [example], 2, dtype) > 0
    assert seen == [dtype]
