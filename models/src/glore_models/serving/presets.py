"""Presets: other people's models in the five roles, by name, for a machine with a GPU.

`glore up --preset NAME` starts them; `--dry-run` prints what it would start. A preset is this
list and nothing else: model ids of the Hugging Face hub, their licences as their cards state
them, the families they belong to, how the GPU's memory is shared out, the threshold of a first
error. Weights come from the hub, which needs a network once. The thresholds are those of the
models' authors or the middle of the range; none was tuned here.
"""

import json
from dataclasses import dataclass

from glore.formats.families import OutcomeFamily, StepFamily, WriterFamily
from glore.formats.math_shepherd import BAD_TOKEN, GOOD_TOKEN

WRITERS = ("student", "global_refiner", "local_refiner")
_APACHE = "Apache-2.0"


@dataclass(frozen=True, slots=True)
class Server:
    """One vLLM server: a model and what it takes to serve it.

    `weights` are the bf16 weights in 1e9 bytes, `share` the part of the GPU's memory it may
    take for them and its cache, `context` the longest text in tokens.
    """

    model: str
    licence: str
    weights: float
    share: float
    context: int = 4096
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preset:
    """The five roles: one chat model that writes, one that scores steps, one that ranks.

    `memory` is what the GPU must have at least, in 1e9 bytes.
    """

    name: str
    summary: str
    writer: Server
    sorm: Server
    orm: Server
    memory: float
    sorm_family: StepFamily
    orm_family: OutcomeFamily = "sequence"
    writer_family: WriterFamily = "chat"
    threshold: float = 0.5

    @property
    def servers(self) -> dict[str, Server]:
        """The servers by the engine's name, in the order in which they are started."""
        return {"generation": self.writer, "sorm": self.sorm, "orm": self.orm}


def step_pooling(step_tag: int) -> tuple[str, ...]:
    """The flags of a server that scores at the token `step_tag` and nowhere else."""
    pooler = {"task": "token_classify", "tok_pooling_type": "STEP", "step_tag_id": step_tag}
    return ("--runner", "pooling", "--pooler-config", json.dumps(pooler))


def two_token_head(bad: str, good: str) -> tuple[str, ...]:
    """The flags that make a head of one row, `lm_head[good] - lm_head[bad]`, of a causal model."""
    overrides = {"classifier_from_token": [bad, good], "method": "from_2_way_softmax"}
    return ("--convert", "classify", "--hf-overrides", json.dumps(overrides))


_SKYWORK = Server(
    model="Skywork/Skywork-Reward-V2-Qwen3-1.7B",
    licence=_APACHE,
    weights=3.5,
    share=0.17,
    flags=("--runner", "pooling"),
)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="qwen-math",
            summary="Qwen2.5-Math writes, Qwen2.5-Math-PRM finds the first error, Skywork ranks",
            writer=Server("Qwen/Qwen2.5-Math-1.5B-Instruct", _APACHE, weights=3.1, share=0.2),
            sorm=Server(
                model="Qwen/Qwen2.5-Math-PRM-7B",
                licence="Qwen licence agreement (read it before commercial use)",
                weights=14.7,
                share=0.5,
                flags=step_pooling(151651),  # <extra_0>
            ),
            orm=_SKYWORK,
            memory=38.0,
            sorm_family="qwen_prm",
        ),
        Preset(
            name="math-shepherd",
            summary="Qwen2.5-Instruct writes, Math-Shepherd finds the first error, Skywork ranks",
            writer=Server("Qwen/Qwen2.5-1.5B-Instruct", _APACHE, weights=3.1, share=0.2),
            sorm=Server(
                model="peiyi9979/math-shepherd-mistral-7b-prm",
                licence="none found when it was looked for: see its card",
                weights=14.5,
                share=0.5,
                flags=(*step_pooling(12902), *two_token_head(BAD_TOKEN, GOOD_TOKEN)),  # ▁ки
            ),
            orm=_SKYWORK,
            memory=38.0,
            sorm_family="math_shepherd",
        ),
    )
}
