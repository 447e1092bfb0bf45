"""A vLLM plugin: LoRA on a CPU engine as one matrix product per adapter.

vLLM 0.32's CPU path copies the adapter's matrices once per token before it multiplies, which
makes a prompt under an adapter many times as slow as without; and it takes index -1, "no
adapter", for the last slot, so that a request to the base model is answered with another
request's adapter when both are in one batch. Here the rows of each adapter are multiplied
together, and rows without one are left alone. tests/models/serving/test_grouped_lora.py holds
it to vLLM's own functions; the gain and its command are in results/benchmarks.md.

Registered as `vllm.general_plugins` in pyproject.toml, so it is loaded by every vLLM process
of the environment. Without the module it replaces (another vLLM, a GPU) it does nothing.
"""

import importlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_MODULE = "vllm.lora.punica_wrapper.punica_cpu"
_REPLACED = (
    "bgmv_shrink", "bgmv_expand", "bgmv_expand_slice",
    "sgmv_shrink", "sgmv_expand", "sgmv_expand_slice",
)  # fmt: skip


def register() -> None:
    """Put the functions of this module in the place of vLLM's. Called by vLLM."""
    try:
        module = importlib.import_module(_MODULE)
    except ImportError:
        return
    if not all(hasattr(module, name) for name in _REPLACED):
        logging.getLogger(__name__).warning("%s is not as known; LoRA stays slow", _MODULE)
        return
    for name in _REPLACED:
        setattr(module, name, globals()[name])


def products(
    inputs: "torch.Tensor", weights: "torch.Tensor", adapters: "torch.Tensor"
) -> "torch.Tensor":
    """`inputs[i] @ weights[adapters[i]].T` for each row, 0 where `adapters[i]` is -1.

    inputs: rows x in; weights: slots x out x in (or slots x 1 x out x in); adapters: rows.
    """
    if weights.dim() == 4:  # noqa: PLR2004 - vLLM keeps an axis of one
        weights = weights.squeeze(1)
    present: list[int] = adapters.unique().tolist()  # type: ignore[no-untyped-call]
    if len(present) == 1 and present[0] >= 0:
        return inputs @ weights[present[0]].T
    result = inputs.new_zeros(inputs.shape[0], weights.shape[1])
    for adapter in present:
        if adapter >= 0:
            rows = (adapters == adapter).nonzero()[:, 0]
            result[rows] = inputs[rows] @ weights[adapter].T
    return result


def bgmv_shrink(
    inputs: "torch.Tensor",
    lora_a: "torch.Tensor",
    output: "torch.Tensor",
    adapters: "torch.Tensor",
    scaling: float = 1.0,
) -> None:
    """Down to the rank: writes rows x rank into `output`."""
    result = products(inputs.to(output.dtype), lora_a.to(output.dtype), adapters)
    output[:, : result.shape[1]] = scaling * result


def bgmv_expand(
    inputs: "torch.Tensor",
    lora_b: "torch.Tensor",
    output: "torch.Tensor",
    adapters: "torch.Tensor",
    add_inputs: bool = True,
) -> None:
    """Up from the rank: writes or adds rows x out."""
    result = products(inputs.to(output.dtype), lora_b.to(output.dtype), adapters)
    width = min(result.shape[1], output.shape[1])
    if add_inputs:
        output[:, :width] += result[:, :width]
    else:
        output[:, :width] = result[:, :width]


def bgmv_expand_slice(
    inputs: "torch.Tensor",
    lora_b: "torch.Tensor",
    output: "torch.Tensor",
    adapters: "torch.Tensor",
    offset: int,
    size: int,
    add_inputs: bool = True,
) -> None:
    """Up from the rank into columns `offset` .. `offset + size`."""
    bgmv_expand(inputs, lora_b, output[:, offset : offset + size], adapters, add_inputs)


def sgmv_shrink(
    inputs: "torch.Tensor",
    lora_a: "torch.Tensor",
    output: "torch.Tensor",
    _starts: "torch.Tensor",
    lengths: "torch.Tensor",
    adapters: "torch.Tensor",
    _batches: int,
    _longest: int,
    _tokens: int,
    scaling: float,
) -> None:
    """`bgmv_shrink` for sequences: `adapters` has one entry for each, `lengths` their tokens."""
    bgmv_shrink(inputs, lora_a, output, adapters.repeat_interleave(lengths), scaling)


def sgmv_expand(
    inputs: "torch.Tensor",
    lora_b: "torch.Tensor",
    output: "torch.Tensor",
    _starts: "torch.Tensor",
    lengths: "torch.Tensor",
    adapters: "torch.Tensor",
    _batches: int,
    _longest: int,
    _tokens: int,
    add_inputs: bool = False,
) -> None:
    """`bgmv_expand` for sequences."""
    bgmv_expand(inputs, lora_b, output, adapters.repeat_interleave(lengths), add_inputs)


def sgmv_expand_slice(
    inputs: "torch.Tensor",
    lora_b: "torch.Tensor",
    output: "torch.Tensor",
    _starts: "torch.Tensor",
    lengths: "torch.Tensor",
    adapters: "torch.Tensor",
    _batches: int,
    _longest: int,
    _tokens: int,
    offset: int,
    size: int,
    add_inputs: bool = False,
) -> None:
    """`bgmv_expand_slice` for sequences."""
    rows = adapters.repeat_interleave(lengths)
    bgmv_expand_slice(inputs, lora_b, output, rows, offset, size, add_inputs)
