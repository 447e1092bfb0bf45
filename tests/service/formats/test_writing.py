"""Own prompts behind the port: those that the bundled models were trained on."""

from glore.formats import prompts
from glore.formats.writing import TrainedPrompts

DRAFT = "One\nTwo\n"


def test_the_port_gives_the_prompts_the_models_were_trained_on() -> None:
    trained = TrainedPrompts()
    assert trained.student("How many?") == prompts.student_prompt("How many?")
    assert trained.global_refiner("How many?", DRAFT) == prompts.global_refiner_prompt(
        "How many?", DRAFT
    )
    assert trained.local_refiner("How many?", DRAFT, 1) == prompts.local_refiner_prompt(
        "How many?", DRAFT, 1
    )
