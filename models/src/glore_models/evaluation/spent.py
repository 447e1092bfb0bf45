"""What an evaluation has taken so far, whatever was killed in between."""

from dataclasses import dataclass

from glore_models.evaluation.journal import Journal


@dataclass(frozen=True, slots=True)
class Spent:
    """What all answers of a folder took; `seconds` on the wall, over all attempts."""

    seconds: float
    engine_calls: int
    prompt_tokens: int
    generated_tokens: int


def spent(journal: Journal) -> Spent:
    """The sums over every answer that is kept; what failed has told nothing of its tokens."""
    used = [result.usage for result in journal.results]
    return Spent(
        seconds=journal.spent,
        engine_calls=sum(each.engine_calls for each in used),
        prompt_tokens=sum(each.prompt_tokens for each in used),
        generated_tokens=sum(each.generated_tokens for each in used),
    )
