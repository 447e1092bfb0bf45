import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

import glore
from glore_models.serving import processes
from glore_models.serving.errors import ServingError
from glore_models.serving.processes import (
    PYTHON,
    Guarded,
    Launch,
    meaningful,
    own_logs,
    stop_all,
)

FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("the child is", child.pid, flush=True)
time.sleep(600)
"""
OWNER = """
import os, sys, time
from pathlib import Path
from glore_models.serving.processes import Guarded, Launch
launch = Launch("family", (sys.executable, "-c", sys.argv[1]), os.environ)
process = Guarded(launch, Path(sys.argv[2]))
time.sleep(600)
"""


def python(name: str, code: str) -> Launch:
    return Launch(name, (sys.executable, "-c", code), os.environ)


def child_of_family(log: Path) -> psutil.Process:
    """The grandchild that FAMILY wrote into its log."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if log.exists() and "the child is" in (text := log.read_text()):
            return psutil.Process(int(text.split()[-1]))
        time.sleep(0.05)
    raise AssertionError


def gone(process: psutil.Process, seconds: float = 15) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_a_process_that_ends_gives_its_status_and_log(tmp_path: Path) -> None:
    process = Guarded(python("short", "print('said this'); raise SystemExit(3)"), tmp_path)
    assert process.wait(30) == 3
    assert process.status() == 3
    assert process.tail(5) == ["said this"]
    assert process.log == tmp_path / "short.log"


def test_a_signal_shows_in_the_status(tmp_path: Path) -> None:
    process = Guarded(python("hit", "import os; os.kill(os.getpid(), 9)"), tmp_path)
    assert process.wait(30) == 137


def test_stopping_takes_the_whole_family(tmp_path: Path) -> None:
    process = Guarded(python("family", FAMILY), tmp_path)
    child = child_of_family(process.log)
    stop_all([process])
    assert process.status() is not None
    assert gone(child)


def test_what_a_dead_process_left_is_taken_down(tmp_path: Path) -> None:
    process = Guarded(python("family", FAMILY), tmp_path)
    child = child_of_family(process.log)
    parent = child.parent()
    assert parent is not None
    parent.kill()
    assert process.wait(30) == 137
    assert gone(child)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_orphan_when_the_owner_dies(tmp_path: Path, number: signal.Signals) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, FAMILY, str(tmp_path)])
    child = child_of_family(tmp_path / "family.log")
    parent = child.parent()
    owner.send_signal(number)
    owner.wait()
    assert parent is not None
    assert gone(parent)
    assert gone(child)


def watcher_of(guard: psutil.Process) -> psutil.Process:
    """The shell beside the guard's child. Between fork and exec it bears the guard's name."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for each in guard.children():
            if each.name() == "sh":
                return each
        time.sleep(0.01)
    raise AssertionError(guard.children())


@pytest.mark.parametrize(
    "who",
    [
        "guard",
        "watcher",
        "child",
        "owner guard",
        "guard child",
        "watcher child",
        "owner guard child",
    ],
)
def test_nothing_is_left_whoever_is_killed(tmp_path: Path, who: str) -> None:
    """The chain is owner, guard, child, grandchild; the watcher stands beside the guard."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER, FAMILY, str(tmp_path)])
    try:
        grandchild = child_of_family(tmp_path / "family.log")
        child = grandchild.parent()
        assert child is not None
        guard = child.parent()
        assert guard is not None
        watcher = watcher_of(guard)
        chain = {
            "owner": psutil.Process(owner.pid),
            "guard": guard,
            "watcher": watcher,
            "child": child,
        }
        for name, process in chain.items():
            if name in who.split():
                with suppress(psutil.NoSuchProcess):  # by another's end
                    process.kill()
        if who == "watcher":  # another takes its place
            assert not gone(child, seconds=0.5)
            guard.kill()
        assert gone(child)
        assert gone(grandchild)
    finally:
        owner.kill()
        owner.wait()
    assert gone(guard)
    assert gone(watcher)


def test_a_child_dies_with_its_guard_even_before_anybody_looks(tmp_path: Path) -> None:
    """Guard and watcher at once: the kernel ends the child."""
    process = Guarded(
        python("single", "import time; print('started', flush=True); time.sleep(600)"), tmp_path
    )
    while not process.tail(1):
        time.sleep(0.02)
    guard = psutil.Process(process._guard.pid)
    watcher, child = sorted(guard.children(), key=lambda each: each.name() != "sh")
    watcher.suspend()
    guard.kill()
    assert gone(child)
    watcher.kill()
    assert process.wait(10) == -signal.SIGKILL


def test_a_process_that_will_not_stop_is_killed(tmp_path: Path) -> None:
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('on'); "
    process = Guarded(python("stubborn", f"{stubborn}time.sleep(600)"), tmp_path)
    started = time.monotonic()
    stop_all([process])
    assert process.status() is not None
    assert time.monotonic() - started < 20


def test_a_log_is_read_for_what_it_says(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text(
        "\x1b[36m(APIServer pid=12)\x1b[0;0m INFO 11-23 20:04:05 [core.py:88] Loading weights\n"
        "  wrapper = lookup(kernel)\n"
        " █ ▄▄ █\n\n"
        "W1123 20:49:49.346000 6988 torch/triton.py:53] Triton not available\n"
        "(EngineCore pid=7) ERROR 11-23 20:49:49 [core.py:1]   File x, line 1, in run\n"
        "10%|#   | 1/10\r100%|####| done with it\n"
    )
    assert meaningful(log) == [
        "Loading weights",
        "Triton not available",
        "100%|####| done with it",
    ]
    assert meaningful(tmp_path / "none.log") == []


def test_causes_are_the_errors_in_order_and_once(tmp_path: Path) -> None:
    code = "print('INFO hello'); print('ValueError: the cause'); print('ValueError: the cause')"
    process = Guarded(python("bad", f"{code}; print('RuntimeError: see above')"), tmp_path)
    assert process.wait(30) == 0
    assert process.causes() == ["ValueError: the cause", "RuntimeError: see above"]
    process = Guarded(python("odd", "print('only this')"), tmp_path)
    assert process.wait(30) == 0
    assert process.causes() == ["only this"]


def hostile(folder: Path) -> Path:
    """A folder whose modules, imported, leave a mark."""
    mark = f"open({str(folder / 'imported')!r}, 'a').write(__name__ + '\\n')\nraise SystemExit(9)\n"
    names = (
        "select",
        "signal",
        "ctypes",
        "subprocess",
        "json",
        "typer",
        "uvicorn",
        "torch",
        "vllm",
    )
    for name in names:
        (folder / f"{name}.py").write_text(mark)
    for name in ("glore", "glore_models", "pip", "multiprocessing"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(mark)
    return folder


def test_nothing_is_imported_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by the guard, nor by what it runs, nor by what that runs."""
    (tmp_path / "here").mkdir()
    here = hostile(tmp_path / "here")
    monkeypatch.chdir(here)
    nested = (
        "import subprocess, sys, multiprocessing, json; import glore_models.serving.build; "
        "program = 'import select, glore_models, glore.cli'; "
        "subprocess.run([sys.executable, '-c', program], check=True)"
    )
    process = Guarded(python("nested", nested), tmp_path)
    assert process.wait(60) == 0, process.tail(20)
    build = Launch("build", (*PYTHON, "-m", "glore_models.serving.build", "a", "b"), os.environ)
    process = Guarded(build, tmp_path)
    assert process.wait(60) == 1
    assert "are not complete" in process.log.read_text()
    assert not (here / "imported").exists()


def test_glore_itself_imports_nothing_from_the_current_folder(tmp_path: Path) -> None:
    script = Path(sys.executable).parent / "glore"
    here = hostile(tmp_path)
    command = [str(script), "up", "--dry-run", "--cache", str(tmp_path / "cache")]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "# gateway" in done.stdout
    assert not (here / "imported").exists()


def test_a_source_tree_that_is_not_installed_is_found_by_what_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(Path(processes.__file__).parents[2])
    roots = [root, str(Path(glore.__file__).parents[1])]
    monkeypatch.setattr(sys, "path", [*roots, *(each for each in sys.path if each not in roots)])
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(tmp_path)
    process = Guarded(
        python("found", "import glore, glore_models; print(glore_models.__file__)"), tmp_path
    )
    assert process.wait(60) == 0
    assert process.tail(1) == [str(Path(root) / "glore_models" / "__init__.py")]


def test_two_services_on_one_cache_have_logs_of_their_own(tmp_path: Path) -> None:
    with own_logs(tmp_path, 8000) as first:
        assert first == tmp_path
        with own_logs(tmp_path, 8001) as second:
            assert second == tmp_path / "8001"
            with pytest.raises(ServingError, match="on port 8001"), own_logs(tmp_path, 8001):
                pass
        with own_logs(tmp_path, 8001) as third:
            assert third == second
    with own_logs(tmp_path, 8001) as fourth:
        assert fourth == tmp_path


def test_a_folder_of_logs_that_cannot_be_written_is_reported() -> None:
    with (
        pytest.raises(ServingError, match="Logs cannot be written into /proc/none"),
        own_logs(Path("/proc/none"), 8000),
    ):
        pass
