"""In which precision matrices are multiplied: the one that is fast where this runs.

bfloat16 is faster than float32 on a GPU or a CPU with AVX512-BF16 or AMX, and many times slower on
a CPU without them, which takes it apart in software.
"""

import torch


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fast_dtype() -> torch.dtype:
    """bfloat16 where the processor multiplies it, else float32."""
    if device().type == "cuda":
        return torch.bfloat16
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # noqa: SLF001 - there is no public name
    return torch.bfloat16 if native else torch.float32
