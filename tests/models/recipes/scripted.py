"""A sampler that writes what it is told to, the same for the same prompt; a recipe for it."""

from collections.abc import Sequence
from dataclasses import replace

from glore_models.data import sources
from glore_models.data.sources import ProblemCounts
from glore_models.recipes.catalog import smoke
from glore_models.recipes.recipe import Recipe, StudentSampling
from glore_models.sampling.port import Rollout


def scripted() -> Recipe:
    """The smoke recipe on a toy base, sampled as scripted: every second solution is right."""
    sampler, created = ScriptedSampler(Answers()), smoke()
    assert created.expert_iteration is not None
    return replace(
        created,
        from_bundle=False,
        student=created.orm,
        expert_iteration=replace(created.expert_iteration, training=created.orm),
        sampled=StudentSampling(
            problems=ProblemCounts(easy=4, all=0, seed=21),
            n=2,
            rollouts=2,
            labelled=4,
            max_tokens=80,
        ),
        make_sampler=lambda checkpoint, seed: sampler,  # noqa: ARG005
    )


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
