"""The thresholds chosen on validation, as a run folder or a bundle keeps them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

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
