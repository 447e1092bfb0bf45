"""What collecting needs of the models: samplers and scorers by role, and who they are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from glore_models.evaluation.paper.machines import Machine
from glore_models.evaluation.paper.thresholds import COMPARED, compared_file
from glore_models.sampling.port import Sampler

STUDENTS = ("sft", "ei")


class Scorer(Protocol):
    """A reward model: one score in 0..1 per step."""

    def score(self, solutions: Sequence[tuple[str, tuple[str, ...]]]) -> list[tuple[float, ...]]:
        """The scores of each (question, steps), in order."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """The roles that one student's records are made with.

    `identities` says, by role, which weights these are; rows made by other weights are
    refused (see `phases.Stamps`). `compared`, by role, score drafts for table A alone. `load`
    gets a role ready, so that loading a model is not counted as its work. `machine` says where
    the models run; None: nobody knows.
    """

    student: Sampler
    global_refiner: Sampler
    local_refiner: Sampler
    sorm: Scorer
    orm: Scorer
    identities: Mapping[str, str]
    compared: Mapping[str, Scorer] = field(default_factory=dict)
    load: Callable[[str], None] = lambda _role: None
    machine: Callable[[], Machine | None] = lambda: None


@dataclass(frozen=True, slots=True)
class RunModels:
    """Where a run folder keeps its models.

    "sft" is the first merged student, "ei" the last. The adapters belong to the last; drafts
    of the first are scored and refined by the same models.
    """

    folder: Path

    def student(self, name: str) -> Path:
        """The plain checkpoint of a student: "sft" or "ei"."""
        number = {"sft": 0, "ei": self._last()}[name]
        return self.folder / f"merged_{number}"

    @property
    def adapted(self) -> Path:
        """The checkpoint that the adapters were trained on."""
        return self.student("ei")

    def adapter(self, role: str) -> Path:
        """The folder of one role's adapter; a scorer's holds its row of the head too."""
        return self.folder / role

    @property
    def compared(self) -> tuple[str, ...]:
        """Those of `COMPARED` that are trained, with a threshold of their own."""
        return tuple(
            role
            for role in COMPARED
            if (self.adapter(role) / "adapter_model.safetensors").is_file()
            and compared_file(self.folder, role).is_file()
        )

    @property
    def thresholds(self) -> Path:
        """The file of the thresholds chosen on validation."""
        return self.folder / "thresholds.json"

    def records(self, student: str, set_: str) -> Path:
        """The file of one student's records of one set."""
        return self.folder / "evaluation" / student / f"{set_}.jsonl"

    def phases(self, student: str, set_: str) -> Path:
        """The folder of what the records are joined from."""
        return self.folder / "evaluation" / student / set_

    def questions(self, set_: str) -> Path:
        """The file of a set's questions, the same for every student."""
        return self.folder / "evaluation" / "questions" / f"{set_}.jsonl"

    @property
    def tables(self) -> Path:
        """The folder of the tables."""
        return self.folder / "paper"

    def _last(self) -> int:
        numbers = (path.name.removeprefix("merged_") for path in self.folder.glob("merged_*"))
        return max((int(number) for number in numbers if number.isdigit()), default=0)
