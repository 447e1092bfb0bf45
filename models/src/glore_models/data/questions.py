"""Which questions a file of rows holds: for finding those that no model may have learnt from."""

from collections.abc import Iterator
from pathlib import Path

from glore.formats.prompts import student_prompt
from glore_models.data.files import parse_json
from glore_models.data.problems import text_key

_ASKED = student_prompt("").partition("\n")[0]  # "Question: "


def questions_in(file: Path) -> Iterator[str]:
    """The normalised question of every whole row: its `question`, or that of its `prompt`."""
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            row = parse_json(line, f"{file.name}:{number}")
            question = row.get("question")
            if question is None:
                question = row["prompt"].removeprefix(_ASKED).partition("\n")[0]
            yield text_key(question)
