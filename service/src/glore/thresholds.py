"""The file of thresholds that models come with: JSON with `first_error` and perhaps `gate`."""

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

DEFAULT_THRESHOLD: Final = 0.5


def shipped_thresholds() -> Path | None:
    """The thresholds of the models that ship; None where glore-models is not installed."""
    found = importlib.util.find_spec("glore_models")
    folders = found.submodule_search_locations if found else None
    return Path(folders[0]) / "bundle" / "thresholds.json" if folders else None


def read_thresholds(file: Path | None, setting: str) -> Mapping[str, object]:
    """What the file holds, the default when there is none. Raises ValueError otherwise."""
    if file is None:
        return {"first_error": DEFAULT_THRESHOLD}
    try:
        content: object = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"first_error": DEFAULT_THRESHOLD}
    except (OSError, ValueError):
        message = f"{file.name} cannot be read as JSON; set {setting} to do without it"
        raise ValueError(message) from None
    return content if isinstance(content, Mapping) else {}


def threshold_in(
    content: Mapping[str, object], file: Path | None, name: str, setting: str
) -> float:
    """The threshold of this name in the `content` of the file. Raises ValueError."""
    value = content.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        message = f"{file and file.name} has no `{name}` in 0..1; set {setting}"
        raise ValueError(message)
    return float(value)
