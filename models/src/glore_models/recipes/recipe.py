"""The configuration of a run: everything that decides what comes out."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from glore_models.data.labels import CleanUps
from glore_models.data.run_folder import MATCHED
from glore_models.data.sources import ProblemCounts
from glore_models.sampling.port import MakeSampler
from glore_models.training.adapters import AdapterConfig

# Settings that came later and only add stages: what a run has done already is as it would be.
ADDITIVE_SETTINGS = ("orm_matched",)
# Settings that runs begun before do not know, which are compared where they are.
LATER_SETTINGS = ("gsm8k_sha256",)
REFINERS = ("local_refiner", "global_refiner")
_ROUND = 1000  # between the seeds of two rounds: more than the seeds of one run are apart


@dataclass(frozen=True, slots=True)
class StudentSampling:
    """How the student is sampled: `n` solutions of each problem, K rollouts of each prefix."""

    problems: ProblemCounts
    n: int
    rollouts: int
    labelled: int  # solutions whose prefixes are rolled out
    temperature: float = 0.8
    max_tokens: int = 200
    wrong_share: float = 0.65  # of the labelled solutions


@dataclass(frozen=True, slots=True)
class ExpertIteration:
    """Rounds of sampling training problems and learning from what came out right.

    Each round draws `n` solutions of fresh `problems` (with seeds of its own), keeps the right
    and different ones, at most `most` of a problem, and trains the student's adapter on from
    where it is, on those and `replay` problems of its first mixture.
    """

    rounds: int
    problems: ProblemCounts
    n: int
    most: int
    replay: int
    training: AdapterConfig
    temperature: float = 0.8
    max_tokens: int = 200

    def problems_of(self, number: int) -> ProblemCounts:
        """The problems of round `number`, counted from 1; the first has the seed as it is.

        A tier takes the seed, or one of the two after it, so rounds are further apart than that.
        A GSM8K file is one whatever the seed: of it, only problems trained on are left out.
        """
        return replace(self.problems, seed=self.problems.seed + _ROUND * (number - 1))


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole run. Problems for training come from the training split alone.

    `ablations` are further SORMs on the same rollouts, by name; `orm_control` leaves the ORM the
    student's own share of right solutions and adds one on the same solutions with as many good
    as bad labels at each prefix length; `orm_matched` adds one trained as the SORM is, on the
    SORM's own solutions and steps: only the labels differ. With `from_bundle` the first student
    goes on from the one that ships, whose rank it has.
    """

    name: str
    mixture: ProblemCounts
    gsm8k: Path | None
    student: AdapterConfig
    sampled: StudentSampling
    validation: ProblemCounts
    test: ProblemCounts
    clean_ups: CleanUps
    drafts_per_pair: int
    orm_samples: int  # at most so many
    orm: AdapterConfig
    sorm: AdapterConfig
    global_refiner: AdapterConfig
    local_refiner: AdapterConfig
    make_sampler: MakeSampler
    expert_iteration: ExpertIteration | None = None
    global_pairs: int | None = None  # at most so many
    orm_control: bool = False
    ablations: Mapping[str, CleanUps] = field(default_factory=dict)
    orm_matched: bool = False
    from_bundle: bool = False

    @property
    def rounds(self) -> int:
        """The rounds of expert iteration; the students are numbered 0 (SFT) to this."""
        return self.expert_iteration.rounds if self.expert_iteration else 0

    @property
    def problem_files(self) -> tuple[str, ...]:
        """The files that students 0 to `rounds` learn from, in this order, without `.jsonl`."""
        rounds = range(1, self.rounds + 1)
        return ("student_problems", *(f"ei_{number}_problems" for number in rounds))

    @property
    def training_files(self) -> tuple[str, ...]:
        """Every file that a model of the run learns from, without `.jsonl`."""
        return (*self.problem_files, *self.scorers, *REFINERS)

    @property
    def scorers(self) -> tuple[str, ...]:
        """Every reward model that is trained: the two that ship, the control, the ablations."""
        control = ("orm_control",) if self.orm_control else ()
        matched = (MATCHED,) if self.orm_matched else ()
        return ("sorm", "orm", *control, *self.ablations, *matched)

    def scorer(self, role: str) -> AdapterConfig:
        """How one of the `scorers` is trained."""
        return self.orm if role in ("orm", "orm_control") else self.sorm

    def settings(self) -> dict[str, Any]:
        """Everything that decides what comes out, as plain values; the sampler by name.

        The GSM8K-format file by name and hash. Raises OSError when it cannot be read.
        """
        values = {each.name: _plain(getattr(self, each.name)) for each in fields(self)}
        if not self.from_bundle:
            del values["from_bundle"]  # as in runs from before there was this
        values["make_sampler"] = self.make_sampler.__qualname__
        values["gsm8k"] = self.gsm8k.name if self.gsm8k else None
        content = self.gsm8k.read_bytes() if self.gsm8k else None
        values["gsm8k_sha256"] = content and hashlib.sha256(content).hexdigest()
        return values


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value, dict_factory=_without_drills)
    return value


def _without_drills(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """Counts of sampled problems as runs begun before have them: no drills, `gsm8k` last."""
    values = dict(items)
    if values.get("drills", 0) is None:
        del values["drills"]
        values["gsm8k"] = values.pop("gsm8k")
    return values
