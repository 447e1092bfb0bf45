"""The adapters that ship: where they lie, whether they are whole, how large their rank is.

A bundle is a folder with one PEFT adapter per role and the reward models' common head:
`<role>/adapter_model.safetensors`, `<role>/adapter_config.json`, `head.safetensors`
(`score.weight`, float32, 2 x 576: column 0 SORM, column 1 ORM) and `thresholds.json`.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from glore_models.serving import base
from glore_models.serving.errors import ServingError

SHIPPED = Path(__file__).resolve().parent.parent / "bundle"
ROLES = ("student", "global_refiner", "local_refiner", "sorm", "orm")
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
HEAD_FILE = "head.safetensors"
THRESHOLDS_FILE = "thresholds.json"
_VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # what --max-lora-rank takes


@dataclass(frozen=True, slots=True)
class Bundle:
    """A folder of adapters; nothing is read before it is asked for."""

    path: Path

    def adapter(self, role: str) -> Path:
        """The folder of one role's adapter."""
        return self.path / role

    def adapter_files(self, role: str) -> tuple[Path, ...]:
        """The files that make up one role's adapter."""
        return tuple(self.adapter(role) / name for name in ADAPTER_FILES)

    @property
    def head(self) -> Path:
        """The file of the reward models' common head."""
        return self.path / HEAD_FILE

    def check(self) -> None:
        """Raise ServingError, naming every file that is missing, unless all are there."""
        files = [file for role in ROLES for file in self.adapter_files(role)]
        missing = [file for file in [*files, self.head] if not file.is_file()]
        if missing:
            names = ", ".join(str(file.relative_to(self.path)) for file in missing)
            raise ServingError(
                problem=f"The adapters in {self.path} are not complete: {names} missing.",
                way_out=(
                    "Install glore-models again, train them (glore train), or point "
                    "GLORE_BUNDLE at a folder that has them."
                ),
            )

    def max_rank(self, roles: Iterable[str]) -> int:
        """The value for vLLM's --max-lora-rank that the adapters of `roles` need.

        Raises ServingError when a configuration is unreadable or its rank too large for vLLM.
        """
        largest = max(self._rank(role) for role in roles)
        for allowed in _VLLM_RANKS:
            if largest <= allowed:
                return allowed
        raise ServingError(
            problem=f"An adapter in {self.path} has rank {largest}.",
            way_out=f"vLLM takes {_VLLM_RANKS[-1]} at most; train it with a smaller rank.",
        )

    @property
    def fingerprint(self) -> str:
        """A hash of the base, the adapters and the head. Raises OSError when a file is missing."""
        seen = hashlib.sha256(base.SHA256.encode())
        for file in (*(file for role in ROLES for file in self.adapter_files(role)), self.head):
            seen.update(file.read_bytes())
        return seen.hexdigest()

    @property
    def thresholds(self) -> Path:
        """The file of the thresholds chosen with these adapters; it need not exist."""
        return self.path / THRESHOLDS_FILE

    def _rank(self, role: str) -> int:
        file = self.adapter(role) / "adapter_config.json"
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
            return max([int(config["r"]), *map(int, (config.get("rank_pattern") or {}).values())])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ServingError(
                problem=f"{file} is not an adapter's configuration: {error!r}.",
                way_out="Install glore-models again, or point GLORE_BUNDLE at another folder.",
            ) from error


def chosen_bundle(environment: Mapping[str, str] = os.environ) -> Bundle:
    """The bundle to serve: GLORE_BUNDLE, or else the one that ships."""
    chosen = environment.get("GLORE_BUNDLE")
    return Bundle(Path(chosen).expanduser().resolve() if chosen else SHIPPED)
