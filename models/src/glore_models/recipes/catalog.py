"""The recipes by name. `paper` is the whole of it; the others say where they differ."""

import os
from dataclasses import replace
from pathlib import Path

from glore_models.data.labels import CleanUps
from glore_models.data.sources import ProblemCounts
from glore_models.recipes.recipe import ExpertIteration, Recipe, StudentSampling
from glore_models.sampling.port import Sampler
from glore_models.training.adapters import AdapterConfig
from glore_models.training.loop import LoopConfig


def paper() -> Recipe:
    """SFT, a round of expert iteration, K = 8, the ORM's controls and the SORM's ablations.

    GLORE_GSM8K names the GSM8K training file, if there is one.
    """
    gsm8k = os.environ.get("GLORE_GSM8K")
    scorer = AdapterConfig(
        rank=8, alpha=16, loop=LoopConfig(epochs=1, batch_tokens=1024, rate=5e-4)
    )
    refiner = AdapterConfig(
        rank=16, alpha=32, loop=LoopConfig(epochs=1, batch_tokens=1024, rate=5e-4)
    )
    return Recipe(
        name="paper",
        mixture=ProblemCounts(easy=2000, all=500, gsm8k=250, drills=450, seed=1),
        gsm8k=Path(gsm8k) if gsm8k else None,
        student=AdapterConfig(
            rank=32, alpha=64, loop=LoopConfig(epochs=1, batch_tokens=1024, rate=1e-3)
        ),
        expert_iteration=ExpertIteration(
            rounds=1,
            problems=ProblemCounts(easy=400, all=150, seed=11),
            n=4,
            most=2,
            replay=450,
            training=AdapterConfig(
                rank=32, alpha=64, loop=LoopConfig(epochs=1, batch_tokens=1024, rate=4e-4)
            ),
        ),
        sampled=StudentSampling(
            problems=ProblemCounts(easy=500, all=150, seed=21), n=4, rollouts=8, labelled=500
        ),
        validation=ProblemCounts(easy=120, all=60, seed=31),
        test=ProblemCounts(easy=100, all=50, seed=41),
        clean_ups=CleanUps(),
        drafts_per_pair=3,
        orm_samples=1000,
        orm=scorer,
        sorm=replace(scorer, loop=replace(scorer.loop, epochs=2)),
        global_refiner=refiner,
        local_refiner=refiner,
        make_sampler=local_sampler,
        global_pairs=800,
        orm_control=True,
        ablations={
            "sorm_ratio": CleanUps(judged="ratio"),
            "sorm_to_error": CleanUps(after_error=False),
        },
        orm_matched=True,
    )


def first_light() -> Recipe:
    """`paper` without expert iteration, controls and ablations: about two hours on two cores."""
    return replace(
        paper(),
        name="first_light",
        mixture=ProblemCounts(easy=1900, all=400, gsm8k=250, drills=450, seed=1),
        expert_iteration=None,
        sampled=StudentSampling(
            problems=ProblemCounts(easy=360, all=40, seed=21), n=4, rollouts=4, labelled=250
        ),
        validation=ProblemCounts(easy=60, all=0, seed=31),
        test=ProblemCounts(easy=100, all=0, seed=41),
        drafts_per_pair=2,
        orm_samples=700,
        global_pairs=None,
        orm_control=False,
        ablations={},
        orm_matched=False,
    )


def paper_gpu() -> Recipe:
    """`paper` at a size for a GPU: on one its stages took 50 minutes in all (results/training.md).

    Thousands of problems, more of them of the tier *all*, and batches 4 to 16 times as large; ranks
    and rates are those of `paper`, and so are the stages.
    """
    small = paper()
    student = _in_batches(small.student, 16_384, epochs=2)
    return replace(
        small,
        name="paper_gpu",
        mixture=ProblemCounts(easy=8000, all=16_000, gsm8k=5500, drills=2000, seed=1),
        student=student,
        expert_iteration=ExpertIteration(
            rounds=1,
            problems=ProblemCounts(easy=3000, all=5000, seed=11),
            n=4,
            most=2,
            replay=8000,
            training=replace(student, loop=replace(student.loop, epochs=1, rate=4e-4)),
        ),
        sampled=StudentSampling(
            problems=ProblemCounts(easy=3000, all=5000, seed=21), n=8, rollouts=8, labelled=8000
        ),
        validation=ProblemCounts(easy=500, all=500, seed=31),
        test=ProblemCounts(easy=500, all=500, seed=41),
        orm_samples=16_000,
        orm=_in_batches(small.orm, 4096),
        sorm=_in_batches(small.sorm, 4096, epochs=2),
        global_refiner=_in_batches(small.global_refiner, 8192),
        local_refiner=_in_batches(small.local_refiner, 4096),
        global_pairs=16_000,
    )


def _in_batches(config: AdapterConfig, tokens: int, epochs: int = 1) -> AdapterConfig:
    return replace(config, loop=replace(config.loop, epochs=epochs, batch_tokens=tokens))


def smoke() -> Recipe:
    """The same stages at a size that takes minutes: to try the path, not for use.

    So small a student solves nothing by itself, and without a right solution there are no pairs:
    it begins as the one that ships, and keeps near it.
    """
    short = AdapterConfig(rank=4, alpha=8, loop=LoopConfig(epochs=1, batch_tokens=512, rate=1e-3))
    student = AdapterConfig(rank=32, alpha=64, loop=replace(short.loop, rate=5e-5))
    return replace(
        paper(),
        name="smoke",
        gsm8k=None,
        mixture=ProblemCounts(easy=12, all=2, gsm8k=2, drills=4, seed=1),
        student=student,
        expert_iteration=ExpertIteration(
            rounds=1,
            problems=ProblemCounts(easy=4, all=0, seed=11),
            n=2,
            most=1,
            replay=4,
            training=student,
            max_tokens=80,
        ),
        sampled=StudentSampling(
            problems=ProblemCounts(easy=4, all=4, seed=21),
            n=4,
            rollouts=2,
            labelled=8,
            temperature=1.2,
        ),
        validation=ProblemCounts(easy=2, all=0, seed=31),
        test=ProblemCounts(easy=2, all=0, seed=41),
        orm=short,
        sorm=short,
        global_refiner=short,
        local_refiner=short,
        global_pairs=8,
        from_bundle=True,
    )


def local_sampler(checkpoint: Path, seed: int) -> Sampler:
    """The sampler of one machine without an engine."""
    from glore_models.sampling.local import LocalSampler

    return LocalSampler(checkpoint, seed=seed)
