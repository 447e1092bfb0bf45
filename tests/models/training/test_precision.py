"""bfloat16 where the processor has it, float32 elsewhere."""

import pytest
import torch

from glore_models.training import precision


def test_a_cpu_without_bfloat16_multiplies_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    _cpu(monkeypatch, avx512_bf16=False, amx=False)

    assert precision.fast_dtype() == torch.float32


def test_a_cpu_with_either_instruction_multiplies_in_bfloat16(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _cpu(monkeypatch, avx512_bf16=True, amx=False)
    assert precision.fast_dtype() == torch.bfloat16

    _cpu(monkeypatch, avx512_bf16=False, amx=True)
    assert precision.fast_dtype() == torch.bfloat16


def test_a_gpu_multiplies_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    _cpu(monkeypatch, avx512_bf16=False, amx=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    assert precision.device().type == "cuda"
    assert precision.fast_dtype() == torch.bfloat16


def test_the_instructions_are_requested_of_this_processor() -> None:
    assert precision.fast_dtype() in (torch.float32, torch.bfloat16)


def _cpu(monkeypatch: pytest.MonkeyPatch, *, avx512_bf16: bool, amx: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
