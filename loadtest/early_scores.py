"""The steps of a draft scored while it streams: what the gateway does not do, to be measured.

The SORM gets every step as soon as it is written, as many at a time as have come while it was busy.
The scores of a prefix do not depend on later steps. So when they show the first error, the local
refinement starts as soon as the draft is whole; all steps are then scored beside it, for an answer
shows their scores.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from glore.engines.ports import EngineError, Generation, Generator, Lease, Scores, StepScorer
from glore.formats.steps import split_steps
from glore.formats.writing import Prompt
from glore.refinement.types import Job

_UNKNOWN: Final = 1.0  # the score of a step that nobody waits for


@dataclass(slots=True)
class EarlyScores:
    """Student and SORM of one question: the steps of its draft are scored while it is written."""

    student: Generator
    sorm: StepScorer
    job: Job
    early: bool = False  # whether the local refinement did not wait for the SORM
    _text: str = ""
    _known: tuple[float, ...] = ()
    _scoring: asyncio.Task[None] | None = None
    _rest: asyncio.Future[Scores] | None = None
    _over: bool = False  # the draft is whole

    async def generate(
        self,
        prompt: Prompt,
        *,
        n: int,
        temperature: float,
        top_p: float,
        max_tokens: int,
        lease: Lease,
        on_text: Callable[[str], None] | None = None,
    ) -> Generation:
        """As the student; every line that ends is a step to score."""

        def take(text: str) -> None:
            self._text += text
            if on_text is not None:
                on_text(text)
            if "\n" in text and (self._scoring is None or self._scoring.done()):
                self._scoring = asyncio.create_task(self._score())

        return await self.student.generate(
            prompt,
            n=n,
            temperature=temperature,
            top_p=top_p,
            max_tokens=max_tokens,
            lease=lease,
            on_text=take,
        )

    async def score_steps(
        self,
        question: str,
        steps: Sequence[str],
        *,
        lease: Lease,
    ) -> Scores:
        """What is known, as soon as there is an error in it; else as the SORM."""
        self._over = True
        whole = asyncio.ensure_future(self.sorm.score_steps(question, steps, lease=lease))
        if self._scoring is not None and not self._shows_error():
            await asyncio.wait({whole, self._scoring}, return_when=asyncio.FIRST_COMPLETED)
        if whole.done() or not self._shows_error():
            return await whole
        self.early = True
        self._rest = whole
        unknown = len(steps) - len(self._known)
        return Scores((*self._known, *[_UNKNOWN] * unknown), 0)

    async def finish(self) -> None:
        """Until the scores of all steps are there, which an answer shows."""
        left = [each for each in (self._scoring, self._rest) if each is not None]
        await asyncio.gather(*left, return_exceptions=True)

    async def _score(self) -> None:
        """Score the steps that are written, again and again while there are new ones."""
        while not self._over and len(steps := self._written()) > len(self._known):
            try:
                scores = await self.sorm.score_steps(
                    self.job.question, steps, lease=Lease(self.job.budget.deadline)
                )
            except EngineError:
                return
            self._known = scores.values

    def _shows_error(self) -> bool:
        return any(score < self.job.threshold for score in self._known)

    def _written(self) -> list[str]:
        """The steps that are whole: a line that has not ended may go on."""
        whole = self._text[: self._text.rfind("\n") + 1]
        return [step.text for step in split_steps(whole)]
