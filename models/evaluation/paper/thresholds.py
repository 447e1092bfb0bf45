"""The thresholds chosen on validation, as a run folder or a bundle keeps them."""

import json
from dataclasses import dataclass
from pathlib import Path


class ThresholdsError(ValueError):
    """The file of thresholds cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Step scores below `first_error` (SORM) or `orm_first_error` (ORM) name an error.

    A draft whose lowest SORM step score is at least `gate` is accepted as it is; None when
    the file has no gate.
    """

    first_error: float
    orm_first_error: float
    gate: float | None

    def of(self, role: str) -> float:
        """The threshold of a scorer, "sorm" or "orm"."""
        return {"sorm": self.first_error, "orm": self.orm_first_error}[role]


def read_thresholds(path: Path) -> Thresholds:
    """The thresholds in a file. Raises ThresholdsError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = Thresholds(
            first_error=_share(content["first_error"]),
            orm_first_error=_share(content["orm_first_error"]),
            gate=None if content.get("gate") is None else _share(content["gate"]),
        )
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise ThresholdsError(message) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path} does not hold the thresholds: {error!r}"
        raise ThresholdsError(message) from error
    return found


def _share(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        message = f"{value!r} is no share"
        raise ValueError(message)
    return float(value)
