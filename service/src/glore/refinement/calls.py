"""One action at a time: its prompt, its engine calls, its share of the deadline, its cost."""

import asyncio
import math
import secrets
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import Any, Final, TypeAlias, assert_never

from glore.engines.ports import (
    STOPPED,
    Completion,
    Generator,
    OutcomeScorer,
    StepScorer,
)
from glore.formats.answers import parse_answer
from glore.formats.critique import corrected_step
from glore.formats.steps import prefix_before, split_steps
from glore.formats.writing import OnText, Prompt, PromptFormat, RoleFormats
from glore.refinement.budget import ActionUsage, SpareBudget, StageFailedError, call_within
from glore.refinement.judging import solutions_to_rerank
from glore.refinement.progress import Delta, OnProgress
from glore.refinement.state import ranking_failed, stage_of
from glore.refinement.types import (
    Action,
    ActionFailed,
    Candidate,
    CandidateKind,
    Cost,
    Degradation,
    DegradedReason,
    Draft,
    Drafted,
    DraftOutcomeScored,
    Event,
    Finish,
    Job,
    Refined,
    RefineGlobally,
    RefineLocally,
    Rerank,
    Reranked,
    Sample,
    ScoreDraftOutcome,
    ScoreSteps,
    Stage,
    StageOutcome,
    State,
    StepsScored,
    Stopped,
    Writing,
)
from glore.verifiers.checking import RefutedStepStop, check_solution
from glore.verifiers.ports import Finding, Verifier

_GATING_SHARE: Final = 0.5  # of the time that `gated` has for scoring and then refining

# What the student wrote, and why it is less than was asked for.
_Drawn: TypeAlias = tuple[tuple[Completion, ...], StageFailedError | None]


@dataclass(frozen=True, slots=True)
class Engines:
    """The five roles, each behind its port, and how the three that write are prompted and read.

    `ranked_singly`: the ORM makes a call for each candidate, rather than one for all.
    `verifiers` check every candidate, unless the request does not want it.
    """

    student: Generator
    global_refiner: Generator
    local_refiner: Generator
    sorm: StepScorer
    orm: OutcomeScorer
    formats: RoleFormats = field(default_factory=RoleFormats)
    ranked_singly: bool = False
    verifiers: tuple[Verifier, ...] = ()


class StageRunner:
    """Performs the actions of one request; its time starts when this is made.

    `clock` gives monotonic seconds. With `on_progress`, texts are streamed from the engines,
    and it gets them as they are written. With `request_id`, engine calls are named after it.
    """

    def __init__(
        self,
        job: Job,
        engines: Engines,
        clock: Callable[[], float],
        on_progress: OnProgress | None = None,
        *,
        request_id: str | None = None,
    ) -> None:
        self._job = job
        self._engines = engines
        self._clock = clock
        self._on_progress = on_progress
        self._start = clock()
        # A client may send one id with several requests at once; no engine call shares its id.
        self._named = None if request_id is None else f"{request_id}-{secrets.token_hex(4)}"
        self._numbers = count(1)
        self._stopped: set[Action] = set()
        # what actions may use beyond what was promised to them
        self.spare = SpareBudget(job.budget.deadline)

    def elapsed(self) -> float:
        """Seconds since the start of the request."""
        return self._clock() - self._start

    async def perform(self, action: Action, state: State) -> tuple[Event, Cost]:
        """Carry out `action` on the candidates of `state`.

        An engine's failure is an event; anything else it raises propagates.
        """
        stage = stage_of(action)
        # The rerank makes up for a draft's score that fails: no further call is made for it.
        early = isinstance(action, ScoreDraftOutcome)
        spare = SpareBudget(self._job.budget.deadline) if early else self.spare
        usage = ActionUsage(spare, partial(self._new_call_id, stage))
        started = self.elapsed()
        event: Event
        try:
            event = await self._work(action, state, usage)
        except StageFailedError as failed:
            event = ActionFailed(action, Degradation(stage, failed.reason, failed.explanation))
        except asyncio.CancelledError:
            if action not in self._stopped:
                raise
            event = Stopped(action)
        usage.close()
        return event, Cost(
            stage=stage,
            started=started,
            seconds=self.elapsed() - started,
            engine_calls=usage.engine_calls,
            prompt_tokens=usage.prompt_tokens,
            generated_tokens=usage.generated_tokens,
            lost_tokens=usage.lost_tokens,
            outcome=_outcome_of(event),
        )

    def stop(self, action: Action, task: asyncio.Task[tuple[Event, Cost]]) -> None:
        """Cancel the job that performs `action`; it ends with `Stopped`."""
        if action not in self._stopped:
            self._stopped.add(action)
            task.cancel()

    def _new_call_id(self, stage: Stage) -> str | None:
        if self._named is None:
            return None
        return f"{self._named}-{stage.value}-{next(self._numbers)}"

    def _work(self, action: Action, state: State, usage: ActionUsage) -> Coroutine[Any, Any, Event]:
        match action:
            case Draft():
                return self._draft(action, usage)
            case ScoreSteps():
                return self._score_steps(action, state, usage)
            case RefineGlobally():
                return self._refine_globally(action, state, usage)
            case RefineLocally():
                return self._refine_locally(action, state, usage)
            case Sample():
                return self._sample(action, usage)
            case ScoreDraftOutcome():
                return self._score_draft_outcome(state, usage)
            case Rerank():
                return self._rerank(state, usage)
            case Finish():
                message = "Finish is no work"
                raise ValueError(message)
            case _:
                assert_never(action)

    async def _draft(self, action: Draft, usage: ActionUsage) -> Drafted:
        """The draft and the samples, in two calls side by side; either may fail."""
        sampling = self._job.sampling
        draft = self._draw(
            usage,
            n=1,
            temperature=sampling.temperature,
            max_tokens=action.max_tokens,
            seconds=self._time_left(),
            on_text=self._text_callback(Stage.DRAFT),
        )
        if action.samples:
            (drafts, no_draft), (samples, no_samples) = await self._beside(draft, action, usage)
        else:
            (drafts, no_draft), (samples, no_samples) = await draft, ((), None)
        if not drafts and not samples:
            raise no_draft or StageFailedError("bad_response")
        candidates: list[Candidate] = []
        for completion in (*drafts, *samples):
            kind = CandidateKind.SAMPLE if candidates else CandidateKind.DRAFT
            candidates.append(
                await self._candidate(kind, completion, self._engines.formats.student)
            )
            await asyncio.sleep(0)  # texts may be long, and others wait for the event loop
        missing = (
            Degradation(Stage.DRAFT, nothing.reason, nothing.explanation)
            for nothing in (no_draft, no_samples)
            if nothing is not None
        )
        return Drafted(candidates=tuple(candidates), degraded=tuple(missing))

    async def _beside(
        self, draft: Coroutine[Any, Any, _Drawn], action: Draft, usage: ActionUsage
    ) -> tuple[_Drawn, _Drawn]:
        """The draft, and samples beside it.

        Once there are samples, the draft leaves time for reranking as they do.
        """
        sampling = self._job.sampling
        async with asyncio.TaskGroup() as group:
            one = group.create_task(draft)
            more = group.create_task(
                self._draw(
                    usage,
                    n=action.samples,
                    temperature=max(sampling.temperature, sampling.sample_temperature),
                    max_tokens=action.sample_max_tokens,
                    seconds=self._time_left_before_rerank(),
                )
            )
            if (await more)[0]:
                await asyncio.wait({one}, timeout=max(0.0, self._time_left_before_rerank()))
                one.cancel()
        late = StageFailedError(DegradedReason.DEADLINE)
        return ((), late) if one.cancelled() else one.result(), more.result()

    async def _draw(
        self,
        usage: ActionUsage,
        *,
        n: int,
        temperature: float,
        max_tokens: int,
        seconds: float,
        on_text: OnText | None = None,
    ) -> _Drawn:
        """`n` solutions of the student."""
        try:
            completions = await self._generate(
                self._engines.student,
                self._engines.formats.student.student(self._job.question),
                usage,
                n=n,
                temperature=temperature,
                max_tokens=max_tokens,
                seconds=seconds,
                on_text=on_text,
            )
        except StageFailedError as nothing:
            return (), nothing
        texts = tuple(text for text in completions[:n] if text.text.strip())
        return texts, None if len(texts) == n else StageFailedError("bad_response")

    async def _score_steps(
        self, action: ScoreSteps, state: State, usage: ActionUsage
    ) -> StepsScored:
        solution = state.candidates[action.candidate].solution
        steps = [step.text for step in split_steps(solution)]
        if ranking_failed(state):
            seconds = self._time_left()
        else:
            seconds = self._time_left_before_rerank()
            if self._job.plan.gated:
                seconds *= _GATING_SHARE
        scores = await call_within(
            seconds,
            usage,
            lambda lease: self._engines.sorm.score_steps(self._job.question, steps, lease=lease),
        )
        usage.prompt_tokens += scores.prompt_tokens
        return StepsScored(action.candidate, _checked(scores.values, len(steps)))

    async def _refine_globally(
        self, action: RefineGlobally, state: State, usage: ActionUsage
    ) -> Refined:
        refiner = self._engines.formats.global_refiner
        solution = state.candidates[action.base].solution
        prompt = refiner.global_refiner(self._job.question, solution)
        engine = self._engines.global_refiner
        on_text = self._text_callback(Stage.REFINE_GLOBALLY, action.base, action.round)
        written = await self._write(engine, prompt, action, usage, refiner, on_text)
        return Refined(
            await self._candidate(CandidateKind.GLOBAL, written, refiner, base=action.base)
        )

    async def _refine_locally(
        self, action: RefineLocally, state: State, usage: ActionUsage
    ) -> Refined:
        solution = state.candidates[action.base].solution
        refiner = self._engines.formats.local_refiner
        step, corrected = action.first_error, ""
        if (found := action.correction) is not None:
            corrected = corrected_step(solution, step, found.start, found.end, found.expected)
        prompt = refiner.local_refiner(self._job.question, solution, step, corrected)
        engine = self._engines.local_refiner
        on_text = self._text_callback(Stage.REFINE_LOCALLY, action.base, action.round)
        prefix = prefix_before(solution, step) + corrected
        written = await self._write(engine, prompt, action, usage, refiner, on_text, prefix)
        return Refined(
            await self._candidate(CandidateKind.LOCAL, written, refiner, prefix, base=action.base)
        )

    async def _sample(self, action: Sample, usage: ActionUsage) -> Refined:
        student = self._engines.formats.student
        prompt = student.student(self._job.question)
        written = await self._write(self._engines.student, prompt, action, usage, student)
        return Refined(await self._candidate(CandidateKind.SAMPLE, written, student))

    async def _write(
        self,
        engine: Generator,
        prompt: Prompt,
        action: Writing,
        usage: ActionUsage,
        written: PromptFormat,
        on_text: OnText | None = None,
        prefix: str = "",
    ) -> Completion:
        """One more text: sampled, unless it is a refinement of the first round or a correction.

        Where the strategy says so, it ends at the first step that a verifier refutes.
        """
        verifiers, stop = self._engines.verifiers, None
        if self._job.plan.stops_refuted and self._job.verify and verifiers:
            stop = RefutedStepStop(verifiers, self._job.question, prefix, written.read, on_text)
        sampling = self._job.sampling
        corrects = isinstance(action, RefineLocally) and action.correction is not None
        sampled = isinstance(action, Sample) or (action.round > 1 and not corrects)
        temperature = max(sampling.temperature, sampling.sample_temperature)
        completions = await self._generate(
            engine,
            prompt,
            usage,
            n=1,
            temperature=temperature if sampled else sampling.temperature,
            max_tokens=action.max_tokens,
            seconds=self._time_left_before_rerank(),
            on_text=stop or on_text,
        )
        for completion in completions[:1]:
            if stop is not None and completion.finish_reason == STOPPED:
                return replace(completion, text=stop.text)
            if completion.text.strip():
                return completion
        raise StageFailedError(reason="bad_response")

    async def _generate(
        self,
        engine: Generator,
        prompt: Prompt,
        usage: ActionUsage,
        *,
        n: int,
        temperature: float,
        max_tokens: int,
        seconds: float,
        on_text: OnText | None,
    ) -> tuple[Completion, ...]:
        """What one generate call gave; its tokens are counted. Raises StageFailedError."""
        generation = await call_within(
            seconds,
            usage,
            lambda lease: engine.generate(
                prompt,
                n=n,
                temperature=temperature,
                top_p=self._job.sampling.top_p,
                max_tokens=max_tokens,
                lease=lease,
                on_text=on_text,
            ),
            granted=n * max_tokens,
        )
        usage.add(generation)
        return generation.completions

    async def _score_draft_outcome(self, state: State, usage: ActionUsage) -> DraftOutcomeScored:
        (score,) = await self._outcome_scores((state.candidates[0].solution,), usage)
        return DraftOutcomeScored(score)

    async def _rerank(self, state: State, usage: ActionUsage) -> Reranked:
        """Equal solutions are sent once, and none whose score is known or on its way."""
        solutions = solutions_to_rerank(state)
        scores = await self._outcome_scores(solutions, usage)
        score_of = {each.solution: each.outcome_score for each in state.candidates}
        score_of.update(zip(solutions, scores, strict=True))
        return Reranked(tuple(score_of.get(each.solution) for each in state.candidates))

    async def _outcome_scores(
        self, solutions: Sequence[str], usage: ActionUsage
    ) -> tuple[float, ...]:
        """One for each solution, 0..1; all the time left may be used. Raises StageFailedError."""
        scores = await call_within(
            self._time_left(),
            usage,
            lambda lease: self._engines.orm.score_outcomes(
                self._job.question, solutions, lease=lease
            ),
        )
        usage.prompt_tokens += scores.prompt_tokens
        return _checked(scores.values, len(solutions))

    def _text_callback(self, stage: Stage, base: int = 0, number: int = 1) -> OnText | None:
        """What gets the text of a stage as it is written; None without `on_progress`."""
        report = self._on_progress
        return None if report is None else lambda text: report(Delta(stage, text, base, number))

    def _time_left(self) -> float:
        return self._job.budget.deadline - self.elapsed()

    def _time_left_before_rerank(self) -> float:
        """The time left, less what is reserved for reranking if there is any to come."""
        reserve = self._job.budget.rerank_reserve if self._job.plan.ranks else 0.0
        return self._time_left() - reserve

    async def _candidate(
        self,
        kind: CandidateKind,
        completion: Completion,
        written: PromptFormat,
        prefix: str = "",
        base: int | None = None,
    ) -> Candidate:
        """`prefix`, unchanged, and the completion as its family is read; and what is false in it.

        `prefix` is empty or ends a line, so no two lines run together.
        """
        solution = prefix + written.read(completion.text)
        return Candidate(
            kind=kind,
            solution=solution,
            answer=parse_answer(solution),
            finish_reason=completion.finish_reason,
            completion_offset=len(prefix),
            findings=await self._findings(solution, completion.finish_reason),
            base=base,
        )

    async def _findings(self, solution: str, finish_reason: str) -> tuple[Finding, ...]:
        """What the verifiers refute, if the request wants to know."""
        if not self._job.verify:
            return ()
        verifiers, question = self._engines.verifiers, self._job.question
        return await check_solution(verifiers, question, solution, finish_reason)


def _outcome_of(event: Event) -> StageOutcome:
    match event:
        case ActionFailed():
            return "failed"
        case Stopped():
            return "stopped"
        case _:
            return "ok"


def _checked(scores: Sequence[float], count: int) -> tuple[float, ...]:
    """The scores, if they are one probability for each thing scored."""
    if len(scores) != count:
        raise StageFailedError(reason="wrong_scores")
    if not all(math.isfinite(score) and 0.0 <= score <= 1.0 for score in scores):
        raise StageFailedError(reason="bad_response")
    return tuple(scores)
