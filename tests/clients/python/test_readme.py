"""What the client's README says is what the client does."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

import glore_client
from glore_client import (
    CallOptions,
    Client,
    GloreError,
    ServiceUnavailable,
    SolveEvent,
    SolveResult,
)
from glore_client.errors import BY_STATUS
from tests.clients.python import samples
from tests.clients.python.samples import QUESTION
from tests.service.gateway import fake_gateway

README = (Path(__file__).parents[3] / "clients" / "python" / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
PRINTED = [  # by each block, of an answer whose draft says 12 and wins
    r"12 It has .*\nAnswer: 12\n.*\ndraft 12 0\.2\n.*local_refinement 11 0\.4\n",
    r"3 x 4 = 12\n.*\nfirst error: step 1\n12\n",
    r"0 12\n1 12\n",
    "",
]


def table(head: str) -> list[list[str]]:
    """The rows of the table with this head, without what marks code."""
    lines = README[README.index(head) :].splitlines()[2:]
    rows = lines[: next(i for i, line in enumerate(lines) if not line.startswith("|"))]
    return [[cell.strip(" `") for cell in row.strip("|").split("|")] for row in rows]


@pytest.mark.parametrize(("block", "printed"), [*zip(BLOCKS, PRINTED, strict=True)])
def test_its_programs_run(block: str, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    with fake_gateway() as gateway:
        program = block.replace('"http://127.0.0.1:8000"', repr(gateway.url))
        program = program.replace("Client()", f"Client({gateway.url!r})")
        exec(compile(program, "README.md", "exec"), names)  # noqa: S102 - our own
    assert re.match(f"^{printed}$", capsys.readouterr().out, re.DOTALL)
    if "transport" in names:
        with pytest.raises(ServiceUnavailable):
            names["client"].solve(QUESTION)
        names["client"].close()


def test_it_shows_what_print_shows() -> None:
    shown, _ = re.findall(r"```text\n(.*?)\n```", README, re.DOTALL)
    body = samples.result(selected=1, is_refuted=True)
    assert shown == str(SolveResult.model_validate(body))


def test_its_calls_have_these_arguments() -> None:
    calls = re.findall(r"^- `(\w+)\((.*?)\)`", README, re.MULTILINE)
    assert [name for name, _ in calls] == [
        "Client",
        *("solve", "stream", "solve_many", "solve_batch", "feedback", "ready"),
    ]
    for name, arguments in calls:
        real = inspect.signature(Client if name == "Client" else getattr(Client, name)).parameters
        documented = ast.parse(f"def f({arguments}): ...").body[0]
        assert isinstance(documented, ast.FunctionDef)
        assert {each.arg for each in documented.args.args} <= real.keys()
        assert (documented.args.kwarg is not None) == ("options" in real), name
        for argument, default in zip(
            documented.args.kwonlyargs, documented.args.kw_defaults, strict=True
        ):
            assert default is not None
            assert real[argument.arg].default == ast.literal_eval(default), argument.arg


def test_its_options_are_those_of_a_call() -> None:
    listed = [name for names, *_ in table("| option |") for name in re.findall(r"\w+", names)]
    assert sorted(listed) == sorted(get_type_hints(CallOptions))


def test_its_events_have_these_fields() -> None:
    rows = {name: (event, held) for name, event, held in table("| class |")}
    classes = {each.__name__: each for each in get_args(get_args(SolveEvent)[0])}
    assert rows.keys() == classes.keys()
    for name, (event, held) in rows.items():
        fields = classes[name].model_fields
        assert event == fields["event"].default
        assert {each for each in fields if each != "event"} <= set(re.findall(r"\w+", held)), name


def test_its_errors_are_the_tree() -> None:
    lines = re.findall(r"^([│├└─ ]*)([A-Z]\w+Error|[A-Z]\w+)  +(\S+)", README, re.MULTILINE)
    above: list[type[Exception]] = [GloreError]
    statuses: dict[int, type[Exception]] = {}
    assert lines[0][1] == "GloreError"
    for branch, name, meaning in lines[1:]:
        depth = len(branch) // 4
        error = getattr(glore_client, name)
        assert error.__bases__ == (above[depth - 1],), name
        above[depth:] = [error]
        if meaning.rstrip(",").isdecimal():
            statuses[int(meaning.rstrip(","))] = error
    assert statuses == dict(BY_STATUS)
