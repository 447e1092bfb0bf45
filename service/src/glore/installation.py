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

import glore

# A package that is imported only when it is needed, and the extra that brings it.
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
    "opentelemetry": "traces",
}
_OF_GATEWAY: Final = (
    "postgres",
    "traces",
)  # extras of `glore`; the others are those of `glore-models`
_OF_RUN: Final = (
    "",
    "cpu",
    "postgres",
    "traces",
)  # what `make environment` installs; `make develop`: all


def command(arguments: str = "") -> str:
    """A command line that starts this `glore` from the current folder."""
    script = Path(sys.argv[0])
    if script.name != "glore" or not script.is_file():
        script = Path(sys.executable).parent / "glore"
    if not script.is_file():
        start = f"{shlex.quote(sys.executable)} -m glore.cli"
    elif (found := shutil.which("glore")) and Path(found).samefile(script):
        start = "glore"
    else:
        start = shlex.quote(_from_here(script))
    return f"{start} {arguments}".rstrip()


def clone() -> Path | None:
    """The repository that this is run from; None when it is installed elsewhere."""
    root = Path(glore.__file__).resolve().parents[3]
    return root if (root / "Makefile").is_file() else None


def make(target: str) -> str | None:
    """The command line that makes a target of the Makefile; None when there is none."""
    root = clone()
    if root is None:
        return None
    return f"make {target}" if root == Path.cwd() else f"make -C {shlex.quote(str(root))} {target}"


def starting() -> str:
    """The command line that starts a whole service on this machine."""
    return make("run") or command("up")


def missing(package: str) -> str:
    """That a package is not installed, and which command installs it."""
    name = package.partition(".")[0]
    if name == "glore_models":
        return f"glore-models, which is not installed; {installing()}"
    extra = EXTRAS.get(name)
    if extra is None:
        return f"{package}, which is not installed: this installation of glore is not whole"
    return f"{package}, which is not installed; {installing(extra)}"


def installing(extra: str = "") -> str:
    """Which command installs an extra; without one, which installs `glore-models`."""
    name, folder = ("glore", "service") if extra in _OF_GATEWAY else ("glore-models", "models")
    wanted = f"[{extra}]" if extra else ""
    root = clone()
    if root is not None and Path(sys.prefix).resolve() == (root / ".venv").resolve():
        return f"`{make('environment' if extra in _OF_RUN else 'develop')}` installs it"
    if root is not None:
        others = [f"{root}/clients/python", *([f"{root}/service"] if folder == "models" else [])]
        parts = " ".join(
            f"-e {shlex.quote(part)}" for part in (*others, f"{root}/{folder}{wanted}")
        )
        return f"`{_pip()} {parts}` installs it"
    if (origin := _origin(name, folder)) is not None:
        return f"`{_pip()} {shlex.quote(f'{name}{wanted} @ {origin}')}` installs it"
    what = f"{name}'s extra `{extra}`" if extra else name
    return f"install {what} from where this glore came from"


def _pip() -> str:
    return f"{shlex.quote(_from_here(Path(sys.executable)))} -m pip install"


def _origin(name: str, folder: str) -> str | None:
    """The URL to install this distribution from; None where pip noted none (an index).

    One that is not there comes from the repository of `glore`.
    """
    for each in (name, "glore"):
        try:
            text = metadata.distribution(each).read_text("direct_url.json")
            content = json.loads(text or "{}")
            version = content.get("vcs_info")
            url: str = content["url"]
        except (metadata.PackageNotFoundError, ValueError, KeyError):
            continue
        if version:
            return f"{version['vcs']}+{url}@{version['commit_id']}#subdirectory={folder}"
        if each == name:
            return url
    return None


def _from_here(file: Path) -> str:
    """A path relative to the current folder if the file lies in it, else the whole path."""
    whole = Path(os.path.abspath(file))  # noqa: PTH100 - a link in bin/ is what is to be run
    here = Path.cwd()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(whole)
