"""A sampler that writes what it is told to, the same for the same prompt."""

from collections.abc import Sequence

from models.data import sources
from models.sampling.port import Rollout


class ScriptedSampler:
    """Writes `2 + 2 = 4`, then a right or wrong answer, by turns; right ones for even lines."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers
        self.calls = 0

    def sample(
        self, prompts: Sequence[str], *, n: int, temperature: float, max_tokens: int
    ) -> list[list[Rollout]]:
        """A first step when none is given; the first rollout of each prompt is right."""
        assert temperature >= 0
        assert max_tokens > 0
        self.calls += 1
        drawn = []
        for prompt in prompts:
            question, _, given = prompt.partition("\nSolution:\n")
            right = self.answers[question.removeprefix("Question: ")]
            start = "" if given else "2 + 2 = 4\n"
            good = "slip" not in given
            drawn.append(
                [
                    Rollout(
                        f"{start}4 is {right}\n#### {right}"
                        if good and i % 2 == 0
                        else f"{start}slip 4 is 777\n#### 777",
                        finished=True,
                        tokens=9,
                    )
                    for i in range(n)
                ]
            )
        return drawn


class Answers(dict[str, str]):
    """The right answer of any generated question, found by generating again."""

    def __init__(self) -> None:
        super().__init__()
        for seed, split in ((11, "train"), (21, "train"), (31, "validation"), (41, "test")):
            for problem in sources.load("easy", 8, seed, split):  # type: ignore[arg-type]
                self[problem.question] = problem.answer
