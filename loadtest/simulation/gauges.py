"""What the simulated engine says of itself at `/metrics`: the names and labels of vLLM's."""

from collections.abc import Mapping
from typing import Final

# As prometheus_client answers where no other format is named.
MEDIA_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8"
REASONS: Final = ("stop", "length", "abort", "error", "repetition")
_RUNNING: Final = "Number of requests in model execution batches."
_WAITING: Final = "Number of requests waiting to be processed."
_FINISHED: Final = "Count of successfully processed requests."


def exposition(model: str, running: int, waiting: int, finished: Mapping[str, int]) -> str:
    """The gauges of requests, and how many have finished for each of REASONS.

    What was pooled rather than written is a `stop`, as vLLM counts it.
    """
    engine, named = 'engine="0"', f'model_name="{model}"'
    lines = []
    for name, text, value in (
        ("vllm:num_requests_running", _RUNNING, running),
        ("vllm:num_requests_waiting", _WAITING, waiting),
    ):
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
        lines.append(f"{name}{{{engine},{named}}} {float(value)}")
    name = "vllm:request_success_total"
    lines += [f"# HELP {name} {_FINISHED}", f"# TYPE {name} counter"]
    for reason in REASONS:
        pooled = finished.get("pooled", 0) if reason == "stop" else 0
        count = float(finished.get(reason, 0) + pooled)
        lines.append(f'{name}{{{engine},finished_reason="{reason}",{named}}} {count}')
    return "\n".join(lines) + "\n"
