"""The configuration of a run: everything that decides what comes out."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeAlias

from models.data.labels import CleanUps
from models.recipes.mixture import Mixture
from models.sampling.port import Sampler
from models.training.adapters import AdapterConfig

# (checkpoint folder, seed) -> something that samples from it
MakeSampler: TypeAlias = Callable[[Path, int], Sampler]


@dataclass(frozen=True, slots=True)
class Tiers:
    """How many problems of each tier of gsm_symbolic, from `seed`."""

    easy: int
    all: int
    seed: int


@dataclass(frozen=True, slots=True)
class Sampled:
    """How the student is sampled: `n` solutions of each problem, K rollouts of each prefix."""

    problems: Tiers
    n: int
    rollouts: int
    labelled: int  # solutions whose prefixes are rolled out
    temperature: float = 0.8
    max_tokens: int = 200
    wrong_share: float = 0.65  # of the labelled solutions


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole run. Problems for training come from the training split alone."""

    name: str
    mixture: Mixture
    gsm8k: Path | None
    student: AdapterConfig
    sampled: Sampled
    validation: Tiers
    test: Tiers
    clean_ups: CleanUps
    drafts_per_pair: int
    orm_samples: int  # at most so many, half of them right
    orm: AdapterConfig
    sorm: AdapterConfig
    global_refiner: AdapterConfig
    local_refiner: AdapterConfig
    make_sampler: MakeSampler

    def settings(self) -> dict[str, Any]:
        """Everything that decides what comes out, as plain values; the sampler by its name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["make_sampler"] = self.make_sampler.__qualname__
        return {
            key: asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
            for key, value in values.items()
        }
