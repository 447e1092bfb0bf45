"""What `make` would install: nothing without a hash, nothing from an address of our own."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("target", ["environment", "develop"])
def test_everything_but_this_project_is_installed_by_its_hash(target: str, tmp_path: Path) -> None:
    command = ["make", "--dry-run", f"VENV={tmp_path}", target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    installs = [each for each in re.split(r"\|\||\n", done.stdout) if " install " in each]
    foreign = [each for each in installs if "--editable" not in each and "pip" in each]
    assert len(foreign) == 3  # torch from here or from PyTorch's index, then the lock
    for each in foreign:
        assert "--require-hashes" in each
        (file,) = re.findall(r"--requirement (\S+)", each)
        assert_hashed(ROOT / file)
    (own,) = (each for each in installs if "--editable" in each)
    assert "--no-deps" in own


def assert_hashed(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.fullmatch(r"\S+==\S+( ; .+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*", line), line
    assert "://" not in text
