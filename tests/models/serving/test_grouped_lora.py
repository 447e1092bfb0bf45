"""The grouped LoRA products against vLLM's own functions, and what vLLM gets wrong."""

import pytest
import torch

from glore_models.serving import grouped_lora

ops = pytest.importorskip("vllm.lora.ops.torch_ops")

ROWS, IN, RANK, OUT = 7, 6, 2, 5
ADAPTERS = torch.tensor([0, 1, 1, 0, 2, 2, 0])


@pytest.fixture
def tensors() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return (
        torch.randn(ROWS, IN),
        torch.randn(3, 1, RANK, IN),
        torch.randn(3, 1, OUT, RANK),
        torch.randn(ROWS, OUT),
    )


def test_shrink_and_expand_equal_vllms(
    tensors: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    x, a, b, y = tensors
    ours, theirs = torch.zeros(ROWS, RANK), torch.zeros(ROWS, RANK)
    grouped_lora.bgmv_shrink(x, a, ours, ADAPTERS, 0.5)
    ops.bgmv_shrink(x, a, theirs, ADAPTERS, 0.5)
    torch.testing.assert_close(ours, theirs)
    for add in (True, False):
        mine, vllms = y.clone(), y.clone()
        grouped_lora.bgmv_expand(ours, b, mine, ADAPTERS, add)
        ops.bgmv_expand(theirs, b, vllms, ADAPTERS, add)
        torch.testing.assert_close(mine, vllms)
        wide = torch.randn(ROWS, OUT + 4)
        vllms_wide = wide.clone()
        grouped_lora.bgmv_expand_slice(ours, b, wide, ADAPTERS, 3, OUT, add)
        ops.bgmv_expand_slice(theirs, b, vllms_wide, ADAPTERS, 3, OUT, add)
        torch.testing.assert_close(wide, vllms_wide)


def test_sequences_equal_vllms(
    tensors: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    x, a, b, y = tensors
    lengths, each = torch.tensor([3, 4]), torch.tensor([2, 0])
    about = (torch.tensor([0, 3]), lengths, each, 2, 4, ROWS)
    ours, theirs = torch.zeros(ROWS, RANK), torch.zeros(ROWS, RANK)
    grouped_lora.sgmv_shrink(x, a, ours, *about, 2.0)
    ops.sgmv_shrink(x, a, theirs, *about, 2.0)
    torch.testing.assert_close(ours, theirs)
    mine, vllms = y.clone(), y.clone()
    grouped_lora.sgmv_expand(ours, b, mine, *about, add_inputs=True)
    ops.sgmv_expand(theirs, b, vllms, *about, add_inputs=True)
    torch.testing.assert_close(mine, vllms)
    grouped_lora.sgmv_expand_slice(ours, b, mine, *about, 0, OUT, add_inputs=True)
    ops.sgmv_expand_slice(theirs, b, vllms, *about, 0, OUT, add_inputs=True)
    torch.testing.assert_close(mine, vllms)


def test_a_row_without_an_adapter_is_left_alone(
    tensors: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    x, a, b, y = tensors
    none = torch.tensor([-1, 1, 1, -1, 2, 2, 0])
    down, out = torch.zeros(ROWS, RANK), y.clone()
    grouped_lora.bgmv_shrink(x, a, down, none)
    grouped_lora.bgmv_expand(down, b, out, none)
    assert torch.equal(out[0], y[0])
    assert torch.equal(out[3], y[3])
    assert not torch.equal(out[1], y[1])


def test_vllm_takes_no_adapter_for_the_last_one(
    tensors: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    """The reason the plugin has to be there; when this fails, vLLM has mended it."""
    x, a, _, _ = tensors
    last = torch.zeros(ROWS, RANK)
    ops.bgmv_shrink(x, a, last, torch.full((ROWS,), -1))
    torch.testing.assert_close(last, x @ a[2, 0].T)


def test_the_functions_stand_in_vllms_place() -> None:
    from vllm.lora.punica_wrapper import punica_cpu

    before = {name: getattr(punica_cpu, name) for name in grouped_lora._REPLACED}
    try:
        grouped_lora.register()
        assert punica_cpu.bgmv_shrink is grouped_lora.bgmv_shrink
        assert punica_cpu.sgmv_expand_slice is grouped_lora.sgmv_expand_slice
    finally:
        for name, function in before.items():
            setattr(punica_cpu, name, function)
