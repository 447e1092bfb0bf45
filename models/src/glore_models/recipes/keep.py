"""A run folder kept small: what is costly to make, without what follows from it in seconds.

`python -m glore_models.recipes.keep RUN OUT` packs one;
`glore train RECIPE --start-from OUT` begins a run folder with it, so that others
go on from its adapters and rollouts, or relabel them.

The students' problems are not kept either: some are of the GSM8K file that was named, which is
not ours to pass on. Their stages are done again, with the same outcome, when it is named again.
Nor are scorers that do not ship, once they have been compared, nor the bundle, which is made of
the rest. Of the tables' records what the models wrote and scored is kept, without GSM8K's
questions and answers.

Weights that are those of an adapter that ships are not packed a second time: `shipped.json` names
them with their SHA-256, and `unpack` takes them from there.
"""

import filecmp
import gzip
import hashlib
import json
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from glore_models.data.files import whole_file
from glore_models.data.run_folder import MATCHED
from glore_models.evaluation.paper.sets import ALL_SETS, needs_gsm8k
from glore_models.evaluation.selectors import QUESTIONS
from glore_models.serving.bundle import ADAPTER_FILES, HEAD_FILE, ROLES, SHIPPED

_CONFIG, _WEIGHTS = ADAPTER_FILES
_ADAPTER = (*ADAPTER_FILES, HEAD_FILE)
_OF_BUNDLE = "shipped.json"  # by folder: the role in the bundle that ships, the weights' SHA-256
_LINES = ".jsonl"
_ROLLOUTS = "rollouts.jsonl"  # of a set: records with the questions in them
_THEIRS = ("question", "answer")  # its fields that are GSM8K's; nobody reads them there
# stages that are done again, and what they write
_AGAIN = re.compile(r"merge_\d+|problems|student_problems|ei_\d+_problems|bundle")


def keep(run: Path, out: Path) -> list[str]:
    """Pack the finished parts of `run` into `out`. Returns the names of what was packed.

    JSONL files are compressed, the same bytes for the same rows. Files of stages that are not
    finished are kept too: a stage goes on where it was.
    """
    out.mkdir(parents=True, exist_ok=True)
    packed = []
    shipped: dict[str, dict[str, str]] = {}
    for path in sorted(run.iterdir()):
        if _AGAIN.fullmatch(path.name.partition(".")[0]):
            continue
        if path.name.endswith(_LINES):
            packed.append(_compress(path, out / f"{path.name}.gz"))
        elif path.suffix == ".json":
            shutil.copyfile(path, out / path.name)
            packed.append(path.name)
        elif (path / _WEIGHTS).is_file() and not _is_compared(path, run):
            role = _shipped_role(path / _WEIGHTS)
            if role is not None:
                weights = (path / _WEIGHTS).read_bytes()
                shipped[path.name] = {"role": role, "sha256": hashlib.sha256(weights).hexdigest()}
            names = [name for name in _ADAPTER if role is None or name != _WEIGHTS]
            packed += [_copy(path / name, out / path.name) for name in names]
            portable(out / path.name / _CONFIG)
    if shipped:
        text = json.dumps(shipped, indent=1, sort_keys=True) + "\n"
        (out / _OF_BUNDLE).write_text(text, encoding="utf-8")
        packed.append(_OF_BUNDLE)
    packed += [_pack(path, run, out) for path in sorted(run.glob("evaluation/*/*/*.json*"))]
    return [name for name in packed if name]


def unpack(packed: Path, run: Path) -> None:
    """Begin the run folder `run` with what `packed` holds.

    It appears at once where there was none. A folder that holds other things is filled, data
    first, then what says that a stage is done, `recipe.json` last: after a kill the same call
    does it again. Raises FileExistsError when the folder holds a run already, FileNotFoundError
    when nothing is packed there or weights of it do not ship any more.
    """
    if not (packed / "recipe.json").is_file():
        message = f"{packed} holds no kept run"
        raise FileNotFoundError(message)
    if (run / "recipe.json").exists():
        message = f"{run} holds a run already; leave out --start-from to go on with it"
        raise FileExistsError(message)
    run = run.resolve()
    if not _is_free(run):
        _fill(packed, run)
        return
    beside = run.with_name(f"{run.name}.unpacking")
    shutil.rmtree(beside, ignore_errors=True)  # of a killed attempt
    _fill(packed, beside)
    beside.replace(run)


def _is_free(run: Path) -> bool:
    """Whether another folder can be renamed to `run`: it is absent, or empty and nobody's place."""
    if not run.exists():
        return True
    return not (any(run.iterdir()) or run.is_mount() or run == Path.cwd())


def _fill(packed: Path, run: Path) -> None:
    """Every file of `packed`, each whole or absent, in the order in which they rely on others."""
    for name, content in _shipped_weights(packed):
        _write(run / name, content)
    files = {path.relative_to(packed) for path in packed.rglob("*") if path.is_file()}
    for name in sorted(files - {Path(_OF_BUNDLE)}, key=_reliance):
        content = (packed / name).read_bytes()
        target = run / name
        if name.suffix == ".gz":
            content, target = gzip.decompress(content), target.with_suffix("")
        _write(target, content)


def _write(target: Path, content: bytes) -> None:
    with whole_file(target) as partial:
        partial.write_bytes(content)


def _shipped_weights(packed: Path) -> Iterator[tuple[Path, bytes]]:
    """Where weights belong that the bundle has, and the weights. Raises FileNotFoundError."""
    if not (packed / _OF_BUNDLE).is_file():
        return
    listed = json.loads((packed / _OF_BUNDLE).read_text(encoding="utf-8"))
    for folder, entry in listed.items():
        source = SHIPPED / entry["role"] / _WEIGHTS
        weights = source.read_bytes() if source.is_file() else b""
        if hashlib.sha256(weights).hexdigest() != entry["sha256"]:
            message = (
                f"{packed} goes with other adapters than those in {SHIPPED}: "
                f"{folder} is not its {entry['role']}"
            )
            raise FileNotFoundError(message)
        yield Path(folder) / _WEIGHTS, weights


def _shipped_role(weights: Path) -> str | None:
    """The role whose weights in the bundle that ships are the same, if there is one."""
    same = (
        role
        for role in ROLES
        if (SHIPPED / role / _WEIGHTS).is_file()
        and filecmp.cmp(weights, SHIPPED / role / _WEIGHTS, shallow=False)
    )
    return next(same, None)


def _reliance(name: Path) -> tuple[int, Path]:
    """Data first, then the stages that are done, the recipe last; by name among equals."""
    rank = 2 if name == Path("recipe.json") else int(name.name.endswith(".done.json"))
    return rank, name


def _is_compared(adapter: Path, run: Path) -> bool:
    """Whether it is a scorer that does not ship, and whose figures are there already."""
    ships = adapter.name in ROLES or adapter.name.startswith("student_")
    stage = "matched_steps" if adapter.name == MATCHED else "steps"
    return not ships and (run / f"{stage}.done.json").is_file()


def portable(config: Path) -> None:
    """Takes this machine's paths out of PEFT's configuration of an adapter."""
    content = json.loads(config.read_text(encoding="utf-8"))
    content["base_model_name_or_path"] = None
    content["target_modules"] = sorted(content["target_modules"])
    config.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _pack(path: Path, run: Path, out: Path) -> str:
    """A file of records, in its place."""
    name = path.relative_to(run)
    theirs = path.parent.name in ALL_SETS and needs_gsm8k(path.parent.name)
    if theirs and path.name == QUESTIONS:
        return ""
    target = out / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == _LINES:
        without = _THEIRS if theirs and path.name == _ROLLOUTS else ()
        _compress(path, target.with_name(f"{path.name}.gz"), without)
        return f"{name}.gz"
    shutil.copyfile(path, target)
    return str(name)


def _compress(path: Path, target: Path, without: Sequence[str] = ()) -> str:
    """The rows of a file, the fields `without` emptied."""
    content = path.read_bytes()
    if without:
        rows = (json.loads(line) | dict.fromkeys(without, "") for line in content.splitlines())
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    target.write_bytes(gzip.compress(content, mtime=0))
    return target.name


def _copy(path: Path, folder: Path) -> str:
    if not path.is_file():
        return ""
    folder.mkdir(exist_ok=True)
    shutil.copyfile(path, folder / path.name)
    return f"{folder.name}/{path.name}"


if __name__ == "__main__":
    sys.stdout.write("\n".join(keep(Path(sys.argv[1]), Path(sys.argv[2]))) + "\n")
