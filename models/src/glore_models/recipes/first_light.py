"""The recipe without expert iteration, controls and ablations: about two hours on two cores."""

import os
from pathlib import Path

from glore_models.data.labels import CleanUps
from glore_models.data.sources import ProblemCounts
from glore_models.recipes.recipe import Recipe, StudentSampling
from glore_models.sampling.port import Sampler
from glore_models.training.adapters import AdapterConfig
from glore_models.training.loop import LoopConfig


def first_light() -> Recipe:
    """SmolLM2-135M on two cores. GLORE_GSM8K names the GSM8K training file, if there is one."""
    gsm8k = os.environ.get("GLORE_GSM8K")
    scorer = AdapterConfig(
        rank=8, alpha=16, loop=LoopConfig(epochs=1, batch_tokens=1024, rate=5e-4)
    )
    refiner = AdapterConfig(
        rank=16, alpha=32, loop=LoopConfig(epochs=1, batch_tokens=1024, rate=5e-4)
    )
    return Recipe(
        name="first_light",
        mixture=ProblemCounts(easy=1900, all=400, gsm8k=250, drills=450, seed=1),
        gsm8k=Path(gsm8k) if gsm8k else None,
        student=AdapterConfig(
            rank=32, alpha=64, loop=LoopConfig(epochs=1, batch_tokens=1024, rate=1e-3)
        ),
        sampled=StudentSampling(
            problems=ProblemCounts(easy=360, all=40, seed=21), n=4, rollouts=4, labelled=250
        ),
        validation=ProblemCounts(easy=60, all=0, seed=31),
        test=ProblemCounts(easy=100, all=0, seed=41),
        clean_ups=CleanUps(),
        drafts_per_pair=2,
        orm_samples=700,
        orm=scorer,
        sorm=AdapterConfig(
            rank=8, alpha=16, loop=LoopConfig(epochs=2, batch_tokens=1024, rate=5e-4)
        ),
        global_refiner=refiner,
        local_refiner=refiner,
        make_sampler=local_sampler,
    )


def local_sampler(checkpoint: Path, seed: int) -> Sampler:
    """The sampler of one machine without an engine."""
    from glore_models.sampling.local import LocalSampler

    return LocalSampler(checkpoint, seed=seed)
