import fcntl
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from glore_models.serving import cache as cache_module
from glore_models.serving.bundle import Bundle
from glore_models.serving.cache import Builder, Cache, Part, check_disk, default_cache
from glore_models.serving.errors import ServingError

PARTS: tuple[Part, ...] = ("base", "student", "scorer")


class Workshop:
    """Builders that write a small file and remember what they made."""

    def __init__(self) -> None:
        self.created: list[Part] = []
        self.said: list[str] = []

    def builders(self) -> dict[Part, Builder]:
        return {part: self._builder(part) for part in PARTS}

    def _builder(self, part: Part) -> Builder:
        def build(out: Path) -> None:
            (out / "model.safetensors").write_text(f"weights of {part}")
            (out / "config.json").write_text("{}")
            self.created.append(part)

        return build

    def make(self, cache: Cache) -> list[Part]:
        """What this call made."""
        before = len(self.created)
        cache.make(self.builders(), self.said.append)
        return self.created[before:]


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


@pytest.fixture
def cache(tmp_path: Path, paper_bundle: Bundle) -> Cache:
    return Cache(tmp_path / "cache", paper_bundle)


def test_an_empty_cache_is_created_once(cache: Cache, workshop: Workshop) -> None:
    assert list(cache.to_make()) == list(PARTS)
    assert workshop.make(cache) == list(PARTS)
    assert cache.to_make() == {}
    assert workshop.make(cache) == []
    assert (cache.part("student") / "model.safetensors").read_text() == "weights of student"


def changed_weights(part: Path) -> None:
    (part / "model.safetensors").write_text("weights of another")


def lost_file(part: Path) -> None:
    (part / "config.json").unlink()


def lost_manifest(part: Path) -> None:
    (part / "glore.json").unlink()


def cut_manifest(part: Path) -> None:
    manifest = part / "glore.json"
    manifest.write_text(manifest.read_text()[:20])


def odd_manifest(part: Path) -> None:
    (part / "glore.json").write_text("[1, 2]")


@pytest.mark.parametrize(
    "damage", [changed_weights, lost_file, lost_manifest, cut_manifest, odd_manifest]
)
@pytest.mark.parametrize("part", ["student", "scorer"])
def test_a_broken_part_is_found_and_created_again(
    cache: Cache, workshop: Workshop, part: Part, damage: Callable[[Path], None]
) -> None:
    workshop.make(cache)
    damage(cache.part(part))
    assert "broken" in cache.to_make()[part]
    assert workshop.make(cache) == [part]
    assert cache.to_make() == {}
    assert any(line.startswith(f"{part}: broken") for line in workshop.said)


def test_a_broken_base_is_only_created_again_for_a_new_student(
    cache: Cache, workshop: Workshop
) -> None:
    workshop.make(cache)
    changed_weights(cache.part("base"))
    assert workshop.make(cache) == []
    lost_file(cache.part("student"))
    assert workshop.make(cache) == ["base", "student"]


def test_new_inputs_make_what_depends_on_them(cache: Cache, workshop: Workshop) -> None:
    workshop.make(cache)
    cache.bundle.head.write_bytes(b"another head")
    assert workshop.make(cache) == ["scorer"]
    (cache.bundle.adapter("student") / "adapter_model.safetensors").write_bytes(b"other")
    assert workshop.make(cache) == ["student", "scorer"]
    (cache.bundle.adapter("orm") / "adapter_model.safetensors").write_bytes(b"other")
    assert workshop.make(cache) == []  # vLLM reads it from the bundle


def test_another_format_makes_all(
    cache: Cache, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.make(cache)
    monkeypatch.setattr(cache_module, "FORMAT", cache_module.FORMAT + 1)
    assert workshop.make(cache) == list(PARTS)


def test_a_build_that_fails_leaves_no_part_and_goes_on_later(
    cache: Cache, workshop: Workshop
) -> None:
    def fail(out: Path) -> None:
        (out / "model.safetensors").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.make(workshop.builders() | {"student": fail}, workshop.said.append)
    assert not cache.part("student").exists()
    assert workshop.make(cache) == ["student", "scorer"]
    assert not list(cache.root.glob(".partial*"))


def test_a_missing_bundle_is_reported_before_anything_is_created(
    cache: Cache, workshop: Workshop
) -> None:
    shutil.rmtree(cache.bundle.adapter("sorm"))
    with pytest.raises(ServingError, match="sorm"):
        workshop.make(cache)
    assert workshop.created == []


def test_a_folder_that_cannot_be_written_is_reported(
    tmp_path: Path, paper_bundle: Bundle, workshop: Workshop
) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ServingError, match="GLORE_CACHE"):
        workshop.make(Cache(tmp_path / "file" / "cache", paper_bundle))


def test_two_makers_wait_for_each_other(cache: Cache, workshop: Workshop) -> None:
    cache.root.mkdir(parents=True)
    with (cache.root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = threading.Thread(target=workshop.make, args=(cache,))
        second.start()
        second.join(0.3)
        assert workshop.created == []
        assert "waiting" in workshop.said[0]
        fcntl.flock(lock, fcntl.LOCK_UN)
        second.join(10)
    assert workshop.created == list(PARTS)


def test_the_base_can_be_created_without_a_bundle(tmp_path: Path, workshop: Workshop) -> None:
    cache = Cache(tmp_path / "cache", Bundle(tmp_path / "nowhere"))
    for _ in range(2):
        folder = cache.make_base(workshop.builders()["base"], workshop.said.append)
        assert folder == cache.part("base")
    assert workshop.created == ["base"]


def test_a_full_disk_is_reported(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    check_disk(cache)
    monkeypatch.setattr(cache_module, "_DISK_NEEDED", 1e18)
    with pytest.raises(ServingError, match="GLORE_CACHE"):
        check_disk(cache)


def test_the_folder_is_chosen_by_the_environment(tmp_path: Path) -> None:
    assert default_cache({"GLORE_CACHE": str(tmp_path)}) == tmp_path
    assert default_cache({}) == (Path.home() / ".cache" / "glore").resolve()
