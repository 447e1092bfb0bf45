"""That no question asked here was trained on, as far as the run folder tells."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from glore_models.data.files import read_json
from glore_models.data.problems import Problem, text_key
from glore_models.data.training_files import questions_in, training_files

_TEMPLATES = "templates_"


class TrainedOnError(ValueError):
    """A question of a set stands in a training file of the run; the text says which."""


def check_unseen(run: Path, sets: Mapping[str, Sequence[Problem]]) -> None:
    """Look for every question in the training files of a run folder, by normalised text.

    Raises TrainedOnError.
    """
    asked = {name: {text_key(p.question) for p in problems} for name, problems in sets.items()}
    for file in training_files(run):
        seen = set(questions_in(file))
        for name, keys in asked.items():
            if found := keys & seen:
                message = f"{file} holds {len(found)} questions of the set {name}: {min(found)!r}"
                raise TrainedOnError(message)


def template_notes(run: Path, sets: Iterable[str]) -> tuple[str, ...]:
    """What to say of the sets of held-out templates: nothing when they are known to be held out.

    A run whose stage `held_out` looked for their questions was made after whole templates were
    held out.
    """
    if not any(name.startswith(_TEMPLATES) for name in sets):
        return ()
    looked_for = read_json(run / "held_out.done.json")
    if f"{_TEMPLATES}easy questions" in looked_for:
        return ()
    note = (
        "this run folder has no record that whole templates were held out from training "
        "(`held_out.done.json`). The models may have been trained on those of `templates_easy` "
        "and `templates_all`, and what is said of unseen templates may be wrong."
    )
    return (note,)
