"""The gateway's engine ports over models in this process, for many questions at once.

A call waits until every question waits for something; then the calls of one role run as one
batch. Every text and every score is written to a file: a run that was stopped goes on, and
strategies that need the same text share it.
"""

import asyncio
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from glore.engines.ports import STOPPED, Completion, Generation, Lease, Role, Scores
from glore.formats.scores import spread
from glore.formats.steps import split_steps
from glore.formats.writing import OnText, Prompt
from glore.refinement.calls import Engines
from glore.verifiers.ports import Verifier
from glore_models.data.files import append_jsonl, read_jsonl
from glore_models.evaluation.paper.phases import Scorer
from glore_models.sampling.port import Rollout

_T = TypeVar("_T")
_TURNS: Final = 30  # of the event loop without a new call: every question waits
_CHECKING_S: Final = 0.01  # between looks while a verifier's thread works


class Drawer(Protocol):
    """Draws texts. The same arguments give the same texts; another `salt` gives others."""

    @property
    def rows(self) -> int:
        """How many texts are drawn at a time."""
        ...

    def sample(
        self,
        prompts: Sequence[str],
        *,
        n: int,
        temperature: float,
        max_tokens: int,
        salt: str = "",
    ) -> list[list[Rollout]]:
        """As `glore_models.sampling.port.Sampler`."""
        ...


class MissingTextError(Exception):
    """A text or score is needed that the files do not hold, and there are no models."""


@dataclass(frozen=True, slots=True)
class TextRow:
    """A row of `texts.jsonl`: text number `index` of those drawn for one prompt.

    `prompt` is a hash of it. `finished` is False for a text that was cut off at its token limit.
    """

    role: str
    prompt: str
    temperature: float
    index: int
    text: str
    finished: bool
    tokens: int


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """A row of `scores.jsonl`: one score in 0..1 per step.

    `solution` is a hash of question and steps.
    """

    role: str
    solution: str
    scores: tuple[float, ...]


_TextKey: TypeAlias = tuple[str, str, float, int]  # role, prompt, temperature, index
_ScoreKey: TypeAlias = tuple[str, str]  # role, solution
_Solution: TypeAlias = tuple[str, tuple[str, ...]]  # question, steps


class Batches:
    """Texts and scores by role, from the files in `folder` or else from the models.

    `on_batch` is called after each batch with its role and size.
    """

    def __init__(
        self,
        drawers: Mapping[str, Drawer],
        scorers: Mapping[str, Scorer],
        folder: Path,
        max_tokens: int,
        on_batch: Callable[[str, int], None] = lambda _role, _size: None,
    ) -> None:
        self.max_tokens = max_tokens
        self._drawers = drawers
        self._scorers = scorers
        self._files = folder / "texts.jsonl", folder / "scores.jsonl"
        self._on_batch = on_batch
        folder.mkdir(parents=True, exist_ok=True)
        texts, scores = self._files
        self._texts: dict[_TextKey, TextRow] = {
            (row.role, row.prompt, row.temperature, row.index): row
            for row in (read_jsonl(texts, TextRow) if texts.exists() else ())
        }
        self._scores: dict[_ScoreKey, ScoreRow] = {
            (row.role, row.solution): row
            for row in (read_jsonl(scores, ScoreRow) if scores.exists() else ())
        }
        self._prompts: dict[_TextKey, tuple[str, asyncio.Future[TextRow]]] = {}
        self._solutions: dict[_ScoreKey, tuple[_Solution, asyncio.Future[ScoreRow]]] = {}

    async def text(self, role: str, prompt: str, temperature: float, index: int) -> TextRow:
        """Text number `index` of this prompt at this temperature."""
        key = role, _hash(prompt), temperature, index
        if key in self._texts:
            return self._texts[key]
        if key not in self._prompts:
            self._prompts[key] = prompt, asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._prompts[key][1])  # another question may wait for it

    async def scores(self, role: str, question: str, steps: Sequence[str]) -> tuple[float, ...]:
        """One score in 0..1 per step."""
        key = role, _hash("\0".join((question, *steps)))
        if key not in self._scores:
            if key not in self._solutions:
                waiting = asyncio.get_running_loop().create_future()
                self._solutions[key] = (question, tuple(steps)), waiting
            await asyncio.shield(self._solutions[key][1])
        return self._scores[key].scores

    async def run(self, questions: Sequence[Coroutine[Any, Any, _T]]) -> list[_T]:
        """What each coroutine returns, in order. All calls of this object are made in them.

        Raises MissingTextError, in an ExceptionGroup, where a role has no model.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(question) for question in questions]
            while unfinished := [task for task in tasks if not task.done()]:
                await self._all_wait()
                if self._prompts or self._solutions:
                    self._work()
                else:
                    await asyncio.wait(unfinished, timeout=_CHECKING_S)
        return [task.result() for task in tasks]

    async def _all_wait(self) -> None:
        before, turns = -1, 0
        while turns < _TURNS:
            waiting = len(self._prompts) + len(self._solutions)
            turns = turns + 1 if waiting == before else 0
            before = waiting
            await asyncio.sleep(0)

    def _work(self) -> None:
        """One batch, of the role for which most calls wait."""
        drawn = Counter((role, temperature) for role, _, temperature, _ in self._prompts)
        scored = Counter(role for role, _ in self._solutions)
        most_drawn = drawn.most_common(1)
        if most_drawn and (not scored or most_drawn[0][1] >= max(scored.values())):
            self._draw(*most_drawn[0][0])
        else:
            self._score(scored.most_common(1)[0][0])

    def _draw(self, role: str, temperature: float) -> None:
        drawer = self._drawers.get(role)
        if drawer is None:
            raise MissingTextError(role)
        keys = [key for key in self._prompts if (key[0], key[2]) == (role, temperature)]
        keys = keys[: drawer.rows]
        found = drawer.sample(
            [self._prompts[key][0] for key in keys],
            n=1,
            temperature=temperature,
            max_tokens=self.max_tokens,
            salt=" ".join(str(index) for *_, index in keys),
        )
        rows = [
            TextRow(*key, text=rollout.text, finished=rollout.finished, tokens=rollout.tokens)
            for key, (rollout,) in zip(keys, found, strict=True)
        ]
        append_jsonl(self._files[0], rows)
        for key, row in zip(keys, rows, strict=True):
            self._texts[key] = row
            self._prompts.pop(key)[1].set_result(row)
        self._on_batch(role, len(rows))

    def _score(self, role: str) -> None:
        scorer = self._scorers.get(role)
        if scorer is None:
            raise MissingTextError(role)
        keys = [key for key in self._solutions if key[0] == role]
        keys = keys[: int(getattr(scorer, "rows", len(keys)))]
        found = scorer.score([self._solutions[key][0] for key in keys])
        rows = [ScoreRow(*key, scores=tuple(each)) for key, each in zip(keys, found, strict=True)]
        append_jsonl(self._files[1], rows)
        for key, row in zip(keys, rows, strict=True):
            self._scores[key] = row
            self._solutions.pop(key)[1].set_result(row)
        self._on_batch(role, len(rows))


def engines_of(batches: Batches, verifiers: tuple[Verifier, ...]) -> Engines:
    """The five roles for one question under one strategy: its first sample has the index 0."""
    return Engines(
        student=_Writer(batches, "student"),
        global_refiner=_Writer(batches, "global_refiner"),
        local_refiner=_Writer(batches, "local_refiner"),
        sorm=_Sorm(batches),
        orm=_Orm(batches),
        verifiers=verifiers,
    )


def written(text: TextRow, on_text: OnText | None) -> tuple[Completion, int]:
    """A text as an engine gives it, with its tokens.

    Of a text that `on_text` stops, the tokens are estimated: its share of the characters.
    """
    if on_text is not None:
        so_far = ""
        for line in text.text.splitlines(keepends=True):
            so_far += line
            if on_text(line):
                tokens = math.ceil(text.tokens * len(so_far) / len(text.text))
                return Completion(so_far, STOPPED), tokens
    return Completion(text.text, "stop" if text.finished else "length"), text.tokens


class _Writer:
    """A `Generator`. Greedy texts are all the same; of samples each is drawn once."""

    def __init__(self, batches: Batches, role: Role) -> None:
        self._batches = batches
        self._role = role
        self._drawn: Counter[tuple[str, float]] = Counter()

    async def generate(
        self,
        prompt: Prompt,
        *,
        n: int,
        temperature: float,
        top_p: float,
        max_tokens: int,
        lease: Lease,
        on_text: OnText | None = None,
    ) -> Generation:
        """The next `n` texts of this prompt. Raises ValueError for what a file row does not say."""
        if not isinstance(prompt, str) or top_p < 1 or max_tokens != self._batches.max_tokens:
            message = "batches draw plain prompts, top_p 1, and one token limit"
            raise ValueError(message)
        first = self._drawn[prompt, temperature] if temperature else 0
        self._drawn[prompt, temperature] += n
        texts = await asyncio.gather(
            *(
                self._batches.text(self._role, prompt, temperature, index)
                for index in range(first, first + n)
            )
        )
        completions = [written(text, on_text) for text in texts]
        return Generation(
            tuple(completion for completion, _ in completions),
            prompt_tokens=0,
            generated_tokens=sum(tokens for _, tokens in completions),
        )


class _Sorm:
    """A `StepScorer`."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    async def score_steps(
        self,
        question: str,
        steps: Sequence[str],
        *,
        lease: Lease,
    ) -> Scores:
        """One score per step."""
        return Scores(await self._batches.scores("sorm", question, steps), prompt_tokens=0)


class _Orm:
    """An `OutcomeScorer`: the score of the last step is that of the solution."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    async def score_outcomes(
        self,
        question: str,
        solutions: Sequence[str],
        *,
        lease: Lease,
    ) -> Scores:
        """One score per solution, 0 for one without steps."""
        split = [[step.text for step in split_steps(solution)] for solution in solutions]
        scores = await asyncio.gather(
            *(self._batches.scores("orm", question, steps) for steps in split if steps)
        )
        return Scores(spread(solutions, (each[-1] for each in scores)), prompt_tokens=0)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
