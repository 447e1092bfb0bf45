"""Which questions a file of rows holds: for finding those that no model may have learnt from."""

import json
from collections.abc import Iterator
from pathlib import Path

from models.data.problems import text_key
from models.formats.prompts import student_prompt

_ASKED = student_prompt("").partition("\n")[0]  # "Question: "


def questions_in(file: Path) -> Iterator[str]:
    """The normalised question of every whole row: its `question`, or that of its `prompt`."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.endswith("\n"):
                return
            row = json.loads(line)
            question = row.get("question")
            if question is None:
                question = row["prompt"].removeprefix(_ASKED).partition("\n")[0]
            yield text_key(question)
