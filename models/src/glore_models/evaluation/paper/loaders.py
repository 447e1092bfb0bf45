"""The real models behind the ports; torch is loaded when the first of them is asked.

One model is loaded per role and kept: two students, two refiners and two scorers (all in
bfloat16), about 1.7 GB for a base of 135M parameters; and those scorers that are compared.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from glore.formats.scores import ORM_COLUMN, SORM_COLUMN
from glore_models.data.run_folder import STUDENTS, RunModels
from glore_models.evaluation.paper.phases import Clock, Ports
from glore_models.evaluation.provenance import Machine, cpu_name
from glore_models.sampling.port import Rollout
from glore_models.serving.bundle import Bundle

if TYPE_CHECKING:
    from glore_models.sampling.local import LocalSampler
    from glore_models.training.likelihood import LogLikelihood
    from glore_models.training.scoring import LocalStepScorer

_WEIGHTS = ("model.safetensors", "adapter_model.safetensors", "head.safetensors")


class ModelLoader:
    """The ports of each student of one run folder; what they share is loaded once."""

    def __init__(self, models: RunModels) -> None:
        self.models = models
        base = models.adapted
        self._students: dict[str, LazySampler] = {}
        self._global = LazySampler(base, models.adapter("global_refiner"))
        self._local = LazySampler(base, models.adapter("local_refiner"))
        self._sorm = LazyScorer(base, models.adapter("sorm"))
        self._orm = LazyScorer(base, models.adapter("orm"))
        self._compared = {role: LazyScorer(base, models.adapter(role)) for role in models.compared}

    def likelihood(self, student: str) -> "LazyLikelihood":
        """What ranks this student's solutions by likelihood: the other student."""
        (other,) = set(STUDENTS) - {student}
        return LazyLikelihood(self.models.student(other))

    def ports(self, student: str) -> Ports:
        """The ports for one student's records."""
        sampler = self._students.setdefault(student, LazySampler(self.models.student(student)))
        roles: dict[str, LazySampler | LazyScorer] = {
            "student": sampler,
            "global_refiner": self._global,
            "local_refiner": self._local,
            "sorm": self._sorm,
            "orm": self._orm,
            **self._compared,
        }
        return Ports(
            student=sampler,
            global_refiner=self._global,
            local_refiner=self._local,
            sorm=self._sorm,
            orm=self._orm,
            identities=Identities(self.models, student),
            compared=self._compared,
            load=lambda role: roles[role].load(),
            machine=this_machine,
        )


def engine_clock() -> Clock:
    """What measures the engines' seconds: of the processor, or of the wall beside a GPU."""
    import torch

    return time.perf_counter if torch.cuda.is_available() else time.process_time


def this_machine() -> Machine:
    """Where the models run: the GPU if there is one, else the processor; and in which dtype."""
    import torch

    from glore_models.training.precision import device, fast_dtype

    gpu = device().type == "cuda"
    processor = torch.cuda.get_device_name() if gpu else cpu_name()
    return Machine(processor, str(fast_dtype()).removeprefix("torch."))


class LazySampler:
    """A sampler loaded when it is first used.

    Its draws depend on the prompts of the call and on nothing before it, so that a run that
    was stopped draws what it would have drawn.
    """

    def __init__(self, checkpoint: Path, adapter: Path | None = None) -> None:
        self.checkpoint = checkpoint
        self.adapter = adapter

    @cached_property
    def sampler(self) -> "LocalSampler":
        """The model itself."""
        from glore_models.sampling.local import LocalSampler

        return LocalSampler(self.checkpoint, seed=0, adapter=self.adapter)

    @property
    def rows(self) -> int:
        """How many rollouts are drawn at a time; loads no model."""
        from glore_models.sampling.local import rows_at_a_time

        return rows_at_a_time()

    def load(self) -> None:
        """Load the model now."""
        _ = self.sampler

    def sample(
        self,
        prompts: Sequence[str],
        *,
        n: int,
        temperature: float,
        max_tokens: int,
        salt: str = "",
    ) -> list[list[Rollout]]:
        """As `Sampler.sample`, with a seed from the prompts and the salt."""
        if temperature > 0:
            seen = hashlib.sha256(f"{n} {temperature} {max_tokens}{salt}".encode())
            for prompt in prompts:
                seen.update(prompt.encode() + b"\0")
            self.sampler.generator.manual_seed(int.from_bytes(seen.digest()[:6], "big"))
        return self.sampler.sample(prompts, n=n, temperature=temperature, max_tokens=max_tokens)


class LazyScorer:
    """A reward model loaded when it is first used; `head` and `row` as in `LocalStepScorer`."""

    def __init__(
        self, base: Path, adapter: Path, *, head: Path | None = None, row: int = 0
    ) -> None:
        self.base = base
        self.adapter = adapter
        self.head = head
        self.row = row

    @cached_property
    def scorer(self) -> "LocalStepScorer":
        """The model itself."""
        from glore_models.training.precision import fast_dtype
        from glore_models.training.scoring import LocalStepScorer

        return LocalStepScorer(
            self.base, self.adapter, head=self.head, row=self.row, dtype=fast_dtype()
        )

    @property
    def identity(self) -> str:
        """A hash of all its weights: of base, adapter and head."""
        parts = [weights_hash(self.adapter), weights_hash(self.base)]
        if self.head is not None:
            parts.append(hashlib.sha256(self.head.read_bytes()).hexdigest())
        return hashlib.sha256(f"{parts} {self.row}".encode()).hexdigest()[:16]

    @property
    def rows(self) -> int:
        """How many solutions are scored before they are written; loads no model."""
        from glore_models.training.scoring import solutions_at_a_time

        return solutions_at_a_time()

    def load(self) -> None:
        """Load the model now."""
        _ = self.scorer

    def score(self, solutions: Sequence[tuple[str, tuple[str, ...]]]) -> list[tuple[float, ...]]:
        """One score per step of each (question, steps), in order."""
        return self.scorer.score(solutions) if solutions else []


class LazyLikelihood:
    """A student that ranks by likelihood, loaded when it is first used."""

    def __init__(self, student: Path) -> None:
        self.student = student

    @cached_property
    def model(self) -> "LogLikelihood":
        """The model itself."""
        from glore_models.training.likelihood import LogLikelihood

        return LogLikelihood(self.student)

    @property
    def identity(self) -> str:
        """A hash of its weights."""
        return weights_hash(self.student)

    @property
    def rows(self) -> int:
        """How many solutions are scored before they are written; loads no model."""
        from glore_models.training.scoring import solutions_at_a_time

        return solutions_at_a_time()

    def score(self, solutions: Sequence[tuple[str, tuple[str, ...]]]) -> list[tuple[float, ...]]:
        """One score per solution."""
        return self.model.score(solutions)


def run_scorers(models: RunModels) -> dict[str, LazyScorer]:
    """Both reward models of a run folder, and those that they are compared with, by role."""
    roles = ("sorm", "orm", *models.compared)
    return {role: LazyScorer(models.adapted, models.adapter(role)) for role in roles}


def bundle_scorers(student: Path, bundle: Bundle) -> dict[str, LazyScorer]:
    """Both reward models of a bundle, by role, on the merged student."""
    columns = {"sorm": SORM_COLUMN, "orm": ORM_COLUMN}
    return {
        role: LazyScorer(student, bundle.adapter(role), head=bundle.head, row=column)
        for role, column in columns.items()
    }


class Identities(Mapping[str, str]):
    """By role, a hash of its weights, computed when it is asked for."""

    def __init__(self, models: RunModels, student: str) -> None:
        self._roles = (
            *("student", "sorm", "orm", "global_refiner", "local_refiner"),
            *models.compared,
        )
        self.models = models
        self.student = student
        self._known: dict[str, str] = {}

    def __getitem__(self, role: str) -> str:
        if role not in self._known:
            if role == "student":
                self._known[role] = weights_hash(self.models.student(self.student))
            else:
                folder = self.models.adapter(role)
                self._known[role] = f"{weights_hash(folder)} on {self._adapted}"
        return self._known[role]

    @cached_property
    def _adapted(self) -> str:
        """Of what every adapter is on, the largest file of all: read once."""
        return weights_hash(self.models.adapted)

    def __iter__(self) -> Iterator[str]:
        return iter(self._roles)

    def __len__(self) -> int:
        return len(self._roles)


def weights_hash(folder: Path) -> str:
    """The first 16 hexadecimal digits of SHA-256 over the weights in a folder.

    Raises FileNotFoundError when there are none.
    """
    files = [folder / name for name in _WEIGHTS if (folder / name).is_file()]
    if not files:
        message = f"{folder} holds no model"
        raise FileNotFoundError(message)
    seen = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                seen.update(block)
    return seen.hexdigest()[:16]
