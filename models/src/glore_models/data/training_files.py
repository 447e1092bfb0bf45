"""The training files of a run folder, and the questions they hold.

Everything that looks for held-out questions reads this list: the recipe's stage `held_out` and
the tables of a run.
"""

from collections.abc import Iterator
from pathlib import Path

from glore.formats.prompts import student_prompt
from glore_models.data.files import FormatError, parse_json
from glore_models.data.problems import text_key

_HELD_OUT = ("validation_", "test_")  # drafts that thresholds are chosen and tried on
_ASKED = student_prompt("").partition("\n")[0]  # "Question: "


def training_files(run: Path) -> list[Path]:
    """The JSONL files of a run folder that a model may have learnt from: all but held-out drafts.

    A file that a new stage writes is one of them without being named anywhere.
    """
    return sorted(path for path in run.glob("*.jsonl") if not path.name.startswith(_HELD_OUT))


def questions_in(file: Path) -> Iterator[str]:
    """The normalised question of every whole row: its `question`, or that of its `prompt`.

    Raises FormatError for a row that has neither.
    """
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            row = parse_json(line, f"{file.name}:{number}")
            question = row.get("question")
            if question is None:
                if "prompt" not in row:
                    message = f"{file.name}:{number} holds no question"
                    raise FormatError(message)
                question = row["prompt"].removeprefix(_ASKED).partition("\n")[0]
            yield text_key(question)
