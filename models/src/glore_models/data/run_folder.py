"""What lies where in a run folder: models, thresholds, training files and the questions in them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from glore.formats.prompts import student_prompt
from glore_models.data.files import FormatError, read_lines
from glore_models.data.problems import text_key

MATCHED: Final = "orm_matched"  # the ORM's labels on what the SORM learnt from
COMPARED: Final = (MATCHED,)  # reward models that judge drafts for table A, and do no more


class ThresholdsError(ValueError):
    """The file of thresholds cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Step scores below `first_error` (SORM) or `orm_first_error` (ORM) name an error.

    A draft whose lowest SORM step score is at least `gate` is accepted as it is; None when
    the file has no gate. `compared` are the first-error thresholds of those of `COMPARED` that
    there are.
    """

    first_error: float
    orm_first_error: float
    gate: float | None
    compared: Mapping[str, float] = field(default_factory=dict)

    def of(self, role: str) -> float:
        """The threshold of a scorer: "sorm", "orm", or one of `compared`."""
        return {"sorm": self.first_error, "orm": self.orm_first_error, **self.compared}[role]


def compared_file(folder: Path, role: str) -> Path:
    """Where a run folder keeps the threshold (`first_error`) of one of `COMPARED`."""
    return folder / f"{role}_thresholds.json"


def read_thresholds(path: Path) -> Thresholds:
    """The thresholds in a file, and in those beside it. Raises ThresholdsError."""
    with _refused(path):
        content = json.loads(path.read_text(encoding="utf-8"))
        found = Thresholds(
            first_error=_share(content["first_error"]),
            orm_first_error=_share(content["orm_first_error"]),
            gate=None if content.get("gate") is None else _share(content["gate"]),
        )
    compared: dict[str, float] = {}
    for role in COMPARED:
        file = compared_file(path.parent, role)
        if file.exists():
            with _refused(file):
                content = json.loads(file.read_text(encoding="utf-8"))
                compared[role] = _share(content["first_error"])
    return replace(found, compared=compared)


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise ThresholdsError(message) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"{path} does not hold the thresholds: {error!r}"
        raise ThresholdsError(message) from error


def _share(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        message = f"{value!r} is no share"
        raise ValueError(message)
    return float(value)


STUDENTS = ("sft", "ei")


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


_HELD_OUT = ("validation_", "test_")  # drafts that thresholds are chosen and tried on
_ASKED = student_prompt("").partition("\n")[0]  # "Question: "


def training_files(run: Path) -> list[Path]:
    """The JSONL files of a run folder that a model may have learnt from: all but held-out drafts.

    A file that a new stage writes is one of them without being named anywhere.
    """
    return sorted(path for path in run.glob("*.jsonl") if not path.name.startswith(_HELD_OUT))


def questions_in(file: Path) -> Iterator[str]:
    """The normalised question of every whole row: its `question`, or that of its `prompt`.

    Raises FormatError for a row that has neither.
    """
    for number, row in read_lines(file):
        question = row.get("question")
        if question is None:
            if "prompt" not in row:
                message = f"{file.name}:{number} holds no question"
                raise FormatError(message)
            question = row["prompt"].removeprefix(_ASKED).partition("\n")[0]
        yield text_key(question)
