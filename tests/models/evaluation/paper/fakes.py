"""Models that answer by rule, so that whatever is asked twice is answered twice the same."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from glore_models.data.problems import Problem
from glore_models.evaluation.paper.phases import Ports
from glore_models.evaluation.provenance import Machine
from glore_models.sampling.port import Rollout

PROBLEMS = [
    Problem(f"p{i}", f"What is {i} + {i}?", str(2 * i), f"{i} + {i}\n#### {2 * i}", "test")
    for i in range(1, 8)
]


def write_gsm8k(path: Path, numbers: Sequence[int] = range(1, 200)) -> Path:
    """A file in GSM8K's format with questions that the fakes can answer."""
    rows = [
        {"question": f"What is {i} + {i}?", "answer": f"{i} + {i}\n#### {2 * i}"} for i in numbers
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


class KilledError(Exception):
    """The process ends here."""


@dataclass
class Calls:
    """Counts calls of every model together and ends the process before call `die_at`."""

    die_at: int | None = None
    created: list[str] = field(default_factory=list)

    def count(self, name: str) -> None:
        if self.die_at == len(self.created):
            raise KilledError
        self.created.append(name)


@dataclass
class FakeSampler:
    """Writes a step and an answer, right or wrong by a hash of prompt and turn.

    Tokens are the characters. A question whose name is in `silent` gets no text at all.
    """

    name: str
    calls: Calls
    silent: str = "\0"
    prompts: list[str] = field(default_factory=list)

    def sample(
        self, prompts: Sequence[str], *, n: int, temperature: float, max_tokens: int
    ) -> list[list[Rollout]]:
        self.calls.count(self.name)
        self.prompts += prompts
        assert (temperature == 0) == (n == 1)
        assert max_tokens > 0
        return [[self._write(prompt, turn) for turn in range(n)] for prompt in prompts]

    def _write(self, prompt: str, turn: int) -> Rollout:
        if self.silent in prompt:
            return Rollout("", finished=True, tokens=0)
        number = int(prompt.split("What is ")[1].split(" ", maxsplit=1)[0])
        seen = hashlib.sha256(f"{self.name} {prompt} {turn}".encode()).digest()[0]
        text = f" so {seen}\nit is {number} twice\n#### {2 * number + seen % 2}\n"
        return Rollout(text, finished=True, tokens=len(text))


@dataclass
class FakeScorer:
    """Scores by a hash of question and steps so far."""

    name: str
    calls: Calls
    scored: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def score(self, solutions: Sequence[tuple[str, tuple[str, ...]]]) -> list[tuple[float, ...]]:
        self.calls.count(self.name)
        self.scored += solutions
        return [
            tuple(
                hashlib.sha256(f"{self.name} {question} {steps[: i + 1]}".encode()).digest()[0]
                / 255
                for i in range(len(steps))
            )
            for question, steps in solutions
        ]


@dataclass
class FakeModels:
    """All five roles and the `compared` ones, counting their calls together."""

    calls: Calls = field(default_factory=Calls)
    identity: Callable[[str], str] = lambda role: f"{role} 1"
    machine: Machine | None = None
    compared: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.student = FakeSampler("student", self.calls)
        self.global_refiner = FakeSampler("global_refiner", self.calls)
        self.local_refiner = FakeSampler("local_refiner", self.calls)
        self.sorm = FakeScorer("sorm", self.calls)
        self.orm = FakeScorer("orm", self.calls)
        self.others = {role: FakeScorer(role, self.calls) for role in self.compared}

    def ports(self) -> Ports:
        roles = ("student", "sorm", "orm", "global_refiner", "local_refiner", *self.compared)
        return Ports(
            student=self.student,
            global_refiner=self.global_refiner,
            local_refiner=self.local_refiner,
            sorm=self.sorm,
            orm=self.orm,
            identities={role: self.identity(role) for role in roles},
            compared=self.others,
            machine=lambda: self.machine,
        )
