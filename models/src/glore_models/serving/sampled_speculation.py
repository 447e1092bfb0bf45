"""A vLLM plugin: sampling parameters that hold on a CPU engine which speculates.

With speculation vLLM 0.32 spreads each request's temperature, top-p and top-k over its tokens
by a kernel whose CPU version writes into a copy, unless the values are 64-bit integers. What it
returns is memory that nobody has written, so texts are drawn at any temperature and have random
words in them; those of requests at temperature 0 too when they share a batch with others. Here
the values are spread in torch. tests/live/test_speculation.py shows both.

Registered as `vllm.general_plugins` in pyproject.toml, as `grouped_lora` is. On other devices
vLLM's own function is called.
"""

import importlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import torch

_MODULE: Final = "vllm.v1.sample.rejection_sampler"
_REPLACED: Final = "expand_batch_to_tokens"


def register() -> None:
    """Put `spread` in the place of vLLM's function. Called by vLLM, several times."""
    try:
        module = importlib.import_module(_MODULE)
    except ImportError:
        return
    original = getattr(module, _REPLACED, None)
    if original is None:
        text = "%s is not as known; sampled texts of a CPU engine that speculates may be wrong"
        logging.getLogger(__name__).warning(text, _MODULE)
    elif not hasattr(original, "replaces"):
        setattr(module, _REPLACED, _on_cpu_spread_else(original))


def _on_cpu_spread_else(original: Callable[..., "torch.Tensor"]) -> Callable[..., "torch.Tensor"]:
    def expand_batch_to_tokens(
        x: "torch.Tensor",
        cu_num_tokens: "torch.Tensor",
        num_tokens: int,
        replace_from: int = 0,
        replace_to: int = 0,
    ) -> "torch.Tensor":
        if x.device.type != "cpu":
            return original(x, cu_num_tokens, num_tokens, replace_from, replace_to)
        return spread(x, cu_num_tokens, replace_from, replace_to)

    expand_batch_to_tokens.replaces = original  # type: ignore[attr-defined]
    return expand_batch_to_tokens


def spread(
    values: "torch.Tensor", ends: "torch.Tensor", replace_from: int, replace_to: int
) -> "torch.Tensor":
    """`values[i]` for each token of request i, whose tokens end before `ends[i]`.

    values, ends: requests; the result: tokens. `replace_from` becomes `replace_to` on the way.
    """
    counts = ends.diff(prepend=ends.new_zeros(1))
    replaced = values.masked_fill(values == replace_from, replace_to)
    return replaced.repeat_interleave(counts)
