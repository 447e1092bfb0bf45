"""Makes the model cache: `python -m glore_models.serving.build CACHE BUNDLE`.

A process of its own, because torch and three checkpoints take 2 GB while they are needed.
"""

import sys
from pathlib import Path

from glore_models.serving import base, weights
from glore_models.serving.bundle import Bundle
from glore_models.serving.cache import Builder, Cache, Part
from glore_models.serving.errors import ServingError


def builders(cache: Cache) -> dict[Part, Builder]:
    """How each part of `cache` is made."""

    def make_base(out: Path) -> None:
        gguf = base.fetch_gguf(cache.downloads, out)
        say("base: converting")
        weights.convert_gguf(gguf, out)
        gguf.unlink()

    def make_student(out: Path) -> None:
        weights.merge_student(cache.part("base"), cache.bundle.adapter("student"), out)

    def make_scorer(out: Path) -> None:
        weights.attach_head(cache.part("student"), cache.bundle.head, out)

    return {"base": make_base, "student": make_student, "scorer": make_scorer}


def ensure_base(root: Path) -> Path:
    """The base model's folder in the cache `root`, made if need be. Raises ServingError."""
    cache = Cache(root, Bundle(root / "no-bundle"))
    return cache.make_base(builders(cache)["base"], say)


def say(line: str) -> None:
    """One line of progress."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Make the cache; 0 when it is whole, 1 with the problem on standard output."""
    root, bundle = arguments
    cache = Cache(Path(root), Bundle(Path(bundle)))
    try:
        cache.make(builders(cache), say)
    except ServingError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
