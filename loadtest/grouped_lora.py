"""`python -m loadtest.grouped_lora`: LoRA on CPU, vLLM's functions beside ours.

One linear layer of SmolLM2-135M (576 -> 1536, rank 16, two adapters), rows as in a step of
16 decoding requests, one refiner prompt, and six prompts at once.
"""

import time
from collections.abc import Callable
from types import ModuleType

import torch

from glore_models.serving import grouped_lora

ROWS = (16, 200, 1200)
SIZE_IN, SIZE_OUT, RANK, ADAPTERS = 576, 1536, 16, 2


def milliseconds(work: Callable[[], None], seconds: float = 1.0) -> float:
    """The mean time of one call, after one call that does not count."""
    work()
    started, calls = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        work()
        calls += 1
    return 1000 * (time.perf_counter() - started) / calls


def one_layer(functions: ModuleType, rows: int) -> Callable[[], None]:
    """Down to the rank and up again, `rows` x 576 to `rows` x 1536."""
    x = torch.randn(rows, SIZE_IN)
    a = torch.randn(ADAPTERS, 1, RANK, SIZE_IN)
    b = torch.randn(ADAPTERS, 1, SIZE_OUT, RANK)
    adapters = torch.arange(rows) * ADAPTERS // rows
    down, out = torch.zeros(rows, RANK), torch.zeros(rows, SIZE_OUT)

    def work() -> None:
        functions.bgmv_shrink(x, a, down, adapters, 1.0)
        functions.bgmv_expand_slice(down, b, out, adapters, 0, SIZE_OUT, add_inputs=True)

    return work


def main() -> None:
    """Print the table."""
    from vllm.lora.ops import torch_ops

    torch.set_num_threads(1)
    print("| rows | vLLM, ms | grouped, ms | ratio |\n|---|---|---|---|")  # noqa: T201
    for rows in ROWS:
        theirs = milliseconds(one_layer(torch_ops, rows))
        ours = milliseconds(one_layer(grouped_lora, rows))
        print(f"| {rows} | {theirs:.2f} | {ours:.2f} | {theirs / ours:.1f} |")  # noqa: T201


if __name__ == "__main__":
    main()
