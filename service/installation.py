"""How this GLoRe is installed: what starts its command, and what installs a missing package.

It is used from a clone, where `make` keeps an environment that is not on PATH, or from a wheel,
a path or a repository, as pip has written down (PEP 610).
"""

import json
import os
import shlex
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

import service

# The extra that brings a package, for packages that are imported only when they are needed.
EXTRAS: Final = {
    "torch": "train",
    "transformers": "train",
    "peft": "train",
    "gguf": "train",
    "safetensors": "train",
    "numpy": "train",
    "tqdm": "train",
    "reasoning_gym": "train",
    "matplotlib": "train",
    "ray": "ray",
    "pyarrow": "ray",
    "vllm": "cpu",
    "asyncpg": "postgres",
}
_OF_RUN: Final = ("cpu", "postgres")  # what `make environment` installs; `make develop`: all


def glore(arguments: str = "") -> str:
    """A command line that starts this `glore` from the current folder."""
    script = Path(sys.argv[0])
    if script.name != "glore" or not script.is_file():
        script = Path(sys.executable).parent / "glore"
    if not script.is_file():
        start = f"{shlex.quote(sys.executable)} -m service.cli"
    elif (found := shutil.which("glore")) and Path(found).samefile(script):
        start = "glore"
    else:
        start = shlex.quote(_from_here(script))
    return f"{start} {arguments}".rstrip()


def clone() -> Path | None:
    """The repository that this is run from; None when it is installed elsewhere."""
    root = Path(service.__file__).resolve().parents[1]
    return root if (root / "Makefile").is_file() else None


def make(target: str) -> str | None:
    """The command line that makes a target of the Makefile; None when there is none."""
    root = clone()
    if root is None:
        return None
    return f"make {target}" if root == Path.cwd() else f"make -C {shlex.quote(str(root))} {target}"


def starting() -> str:
    """The command line that starts a whole service on this machine."""
    return make("run") or glore("up")


def missing(package: str) -> str:
    """That a package is not installed, and which command installs it."""
    extra = EXTRAS.get(package.partition(".")[0])
    if extra is None:
        return f"{package}, which is not installed: this installation of glore is not whole"
    return f"{package}, which is not installed; {installing(extra)}"


def installing(extra: str) -> str:
    """Which command installs an extra."""
    root = clone()
    if root is not None and Path(sys.prefix).resolve() == (root / ".venv").resolve():
        return f"`{make('environment' if extra in _OF_RUN else 'develop')}` installs it"
    if root is not None:
        client, wanted = f"{root}/clients/python", f"{root}[{extra}]"
        return f"`{_pip()} -e {shlex.quote(client)} -e {shlex.quote(wanted)}` installs it"
    if (origin := _origin()) is not None:
        return f"`{_pip()} {shlex.quote(f'glore[{extra}] @ {origin}')}` installs it"
    return f"install glore's extra `{extra}` from where this glore came from"


def _pip() -> str:
    return f"{shlex.quote(_from_here(Path(sys.executable)))} -m pip install"


def _origin() -> str | None:
    """The URL that pip installed glore from; None for an index."""
    try:
        text = metadata.distribution("glore").read_text("direct_url.json")
        content = json.loads(text or "{}")
        version = content.get("vcs_info")
        url: str = content["url"]
    except (metadata.PackageNotFoundError, ValueError, KeyError):
        return None
    return f"{version['vcs']}+{url}@{version['commit_id']}" if version else url


def _from_here(file: Path) -> str:
    """A path relative to the current folder if the file lies in it, else the whole path."""
    whole = Path(os.path.abspath(file))  # noqa: PTH100 - a link in bin/ is what is to be run
    here = Path.cwd()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(whole)
