"""Sampling parameters spread over tokens. What vLLM makes of them: tests/live."""

import importlib
from types import ModuleType

import pytest
import torch

from glore_models.serving import sampled_speculation
from glore_models.serving.sampled_speculation import spread


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32, torch.int64])
def test_each_token_has_the_value_of_its_request(dtype: torch.dtype) -> None:
    values = torch.tensor([7, 0, 9, 5], dtype=dtype)
    ends = torch.tensor([2, 3, 3, 6], dtype=torch.int32)  # the third has none
    expected = torch.tensor([7, 7, 1, 5, 5, 5], dtype=dtype)
    torch.testing.assert_close(spread(values, ends, 0, 1), expected)


def test_it_takes_the_place_of_vllms_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def original(*_arguments: object) -> str:
        return "vllm"

    module = ModuleType("sampler")
    module.expand_batch_to_tokens = original  # type: ignore[attr-defined]
    monkeypatch.setattr(importlib, "import_module", lambda _name: module)
    for _ in range(2):
        sampled_speculation.register()
    replaced = module.expand_batch_to_tokens
    assert replaced.replaces is original
    ends = torch.tensor([2], dtype=torch.int32)
    assert replaced(torch.tensor([0.5]), ends, 2).tolist() == [0.5, 0.5]
    assert replaced(torch.empty(1, device="meta"), ends, 2) == "vllm"


def test_another_vllm_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(importlib, "import_module", lambda _name: ModuleType("sampler"))
    sampled_speculation.register()
    assert "may be wrong" in caplog.text
