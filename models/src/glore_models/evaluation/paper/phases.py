"""What each phase of collecting asks of the models, the rows it appends, and what they say."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from glore.formats.answers import parse_answer
from glore.formats.steps import prefix_before, split_steps
from glore_models.data.labels import BAD, GOOD, make_consistent
from glore_models.data.resume import load_nothing, read_keyed, resume_map
from glore_models.data.rollouts import PrefixRollouts, is_right
from glore_models.evaluation.paper.records import LocalRefinement, Record, Solution, TimedStepScores
from glore_models.evaluation.provenance import Machine
from glore_models.sampling.port import Sampler, SamplingParams


class Scorer(Protocol):
    """A reward model: one score in 0..1 per step."""

    def score(self, solutions: Sequence[tuple[str, tuple[str, ...]]]) -> list[tuple[float, ...]]:
        """The scores of each (question, steps), in order."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """The roles that one student's records are made with.

    `identities` says, by role, which weights these are; rows made by other weights are
    refused (see `Provenance`). `compared`, by role, score drafts for table A alone. `load` gets a
    role ready, so that loading a model is not counted as its work. `machine` says where the
    models run; None: nobody knows.
    """

    student: Sampler
    global_refiner: Sampler
    local_refiner: Sampler
    sorm: Scorer
    orm: Scorer
    identities: Mapping[str, str]
    compared: Mapping[str, Scorer] = field(default_factory=dict)
    load: Callable[[str], None] = lambda _role: None
    machine: Callable[[], Machine | None] = lambda: None


Clock = Callable[[], float]
BATCH_ROWS = 512  # rollouts in a chunk, if the sampler has no `rows` of its own
BATCH_SCORES = 64  # solutions in a chunk, if the scorer has no `rows` of its own


@dataclass(frozen=True, slots=True)
class ProblemPrompt:
    """A text to continue for a problem; `place`, an index, tells several of one problem apart."""

    problem: str
    place: int
    text: str


@dataclass(frozen=True, slots=True)
class Generated:
    """The completions of one prompt, as they came: one entry per rollout."""

    problem: str
    place: int
    texts: tuple[str, ...]
    tokens: tuple[int, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TimedRollouts(PrefixRollouts):
    """Rollouts of a prefix with the sampler's `seconds`; older rows have none."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ScoredText:
    """The step scores of one solution; `seconds` of the scorer."""

    problem: str
    text: str
    scores: tuple[float, ...]
    seconds: float


def rollouts_at_once(sampler: Sampler, n: int) -> int:
    """Prompts in a chunk of `n` rollouts each: a full batch of the sampler."""
    return max(1, int(getattr(sampler, "rows", BATCH_ROWS)) // n)


def scores_at_once(scorer: Scorer) -> int:
    """Solutions in a chunk: as many as the scorer wants."""
    return int(getattr(scorer, "rows", BATCH_SCORES))


def generate(
    path: Path,
    prompts: Sequence[ProblemPrompt],
    sampler: Sampler,
    drawing: SamplingParams,
    *,
    title: str,
    load: Callable[[], None] = load_nothing,
    clock: Clock = time.perf_counter,
) -> dict[tuple[str, int], Generated]:
    """`drawing.n` completions of each prompt, by (problem, place); loading is not timed."""

    def work(part: Sequence[ProblemPrompt]) -> list[Generated]:
        started = clock()
        drawn = sampler.sample(
            [prompt.text for prompt in part],
            n=drawing.n,
            temperature=drawing.temperature,
            max_tokens=drawing.max_tokens,
        )
        tokens = [[rollout.tokens for rollout in rollouts] for rollouts in drawn]
        each = (clock() - started) / max(1, sum(map(sum, tokens)))  # seconds per token
        return [
            Generated(
                prompt.problem,
                prompt.place,
                tuple(rollout.text for rollout in rollouts),
                tuple(counts),
                tuple(each * count for count in counts),
            )
            for prompt, rollouts, counts in zip(part, drawn, tokens, strict=True)
        ]

    return resume_map(
        path,
        Generated,
        prompts,
        work,
        item_key=lambda prompt: (prompt.problem, prompt.place),
        row_key=lambda row: (row.problem, row.place),
        chunk=rollouts_at_once(sampler, drawing.n),
        title=title,
        load=load,
    )


def score(
    path: Path,
    solutions: Sequence[tuple[str, str, str]],
    scorer: Scorer,
    *,
    title: str,
    load: Callable[[], None] = load_nothing,
    clock: Clock = time.perf_counter,
) -> dict[tuple[str, str], ScoredText]:
    """The scores of each different (problem, question, text), by (problem, text).

    A text without steps has no scores and costs nothing; loading is not timed.
    """
    different = list(dict.fromkeys(solutions))

    def work(part: Sequence[tuple[str, str, str]]) -> list[ScoredText]:
        steps = [tuple(step.text for step in split_steps(text)) for _, _, text in part]
        prefixed = [
            (question, each) for (_, question, _), each in zip(part, steps, strict=True) if each
        ]
        started = clock()
        found = iter(scorer.score(prefixed))
        sizes = [
            len(question) + len(text) if each else 0
            for (_, question, text), each in zip(part, steps, strict=True)
        ]
        per_character = (clock() - started) / max(1, sum(sizes))
        return [
            ScoredText(problem, text, next(found) if each else (), per_character * size)
            for (problem, _, text), each, size in zip(part, steps, sizes, strict=True)
        ]

    return resume_map(
        path,
        ScoredText,
        different,
        work,
        item_key=lambda item: (item[0], item[2]),
        row_key=_scored_key,
        chunk=scores_at_once(scorer),
        title=title,
        whole=False,
        load=load,
    )


def read_scores(path: Path) -> dict[tuple[str, str], ScoredText]:
    """The scores in a file of that phase, by (problem, text); none without the file."""
    return read_keyed(path, ScoredText, _scored_key)


def _scored_key(row: ScoredText) -> tuple[str, str]:
    return row.problem, row.text


def whole_solutions(row: Generated, answer: str) -> tuple[Solution, ...]:
    """Completions that are whole solutions, without white space around them."""
    texts = [text.strip() for text in row.texts]
    return tuple(
        Solution(text, parse_answer(text), is_right(text, answer), tokens, seconds)
        for text, tokens, seconds in zip(texts, row.tokens, row.seconds, strict=True)
    )


def continued(record: Record, index: int, row: Generated) -> LocalRefinement | None:
    """The draft's text before step `index`, byte for byte, and what was written after it."""
    completion = row.texts[0].strip()
    if not completion:
        return None
    text = prefix_before(record.draft.text, index) + completion
    right = is_right(text, record.answer)
    written = Solution(text, parse_answer(text), right, row.tokens[0], row.seconds[0])
    return LocalRefinement(index, written)


def step_labels(record: Record, rows: Mapping[tuple[str, int], PrefixRollouts]) -> tuple[int, ...]:
    """1 or 0 per step: whether the right answer was ever reached from there on."""
    steps = len(split_steps(record.draft.text))
    if record.draft.right:
        return (GOOD,) * steps
    reached = [any(rows[record.problem, steps_before].right) for steps_before in range(1, steps)]
    return make_consistent((*(GOOD if good else BAD for good in reached), BAD))


def with_scores(record: Record, role: str, rows: Mapping[tuple[str, str], ScoredText]) -> Record:
    """The record with what "sorm" or "orm" says of the draft and of all that is ranked."""

    def scored(written: Solution) -> Solution:
        row = rows.get((record.problem, written.text))
        if row is None:
            return written
        found = TimedStepScores(row.scores, row.seconds)
        return replace(written, sorm=found) if role == "sorm" else replace(written, orm=found)

    whole, local = record.global_refinement, record.local_sorm
    return replace(
        record,
        draft=scored(record.draft),
        samples=tuple(map(scored, record.samples)),
        global_refinement=scored(whole) if whole else None,
        local_sorm=replace(local, written=scored(local.written)) if local else None,
    )


def with_compared(record: Record, role: str, rows: Mapping[tuple[str, str], ScoredText]) -> Record:
    """The record with what a scorer that is compared says of the draft, if it has said it."""
    row = rows.get((record.problem, record.draft.text))
    if row is None:
        return record
    return replace(
        record, compared={**record.compared, role: TimedStepScores(row.scores, row.seconds)}
    )
