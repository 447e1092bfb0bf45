"""What callers say of answers: the last answers are remembered, judged, and counted.

Of an answer that is only called right or wrong, some things stay unknown: a draft with another
answer than the winner may have been right, where the winner was not. With the expected answer
everything is known.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Literal, Self, TypeAlias, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

from glore.formats.answers import plain_number
from glore.refinement.runner import Solved
from glore.telemetry.labels import KINDS, STRATEGIES, known

LONGEST_ANSWER: Final = 100  # characters; longer ones equal nothing
# What refinement did to the draft's answer: wrong to right, right to wrong, or neither.
Change: TypeAlias = Literal["mended", "spoilt", "kept_right", "kept_wrong", "unknown"]
# What the selector did: `regret` is a wrong answer although some candidate had the right one.
SelectionVerdict: TypeAlias = Literal["right", "regret", "none_right", "unknown"]
CHANGES: Final[tuple[Change, ...]] = get_args(Change)
CHOICES: Final[tuple[SelectionVerdict, ...]] = get_args(SelectionVerdict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a verdict comes to. `draft_correct` is None where that cannot be known."""

    correct: bool
    draft_correct: bool | None
    change: Change
    choice: SelectionVerdict


@dataclass(slots=True)
class RememberedAnswer:
    """The answers of the candidates of one question, in plain form, and who asked it."""

    solve_id: str
    request_id: str
    client: str
    strategy: str
    kind: str  # of the winner
    answer: str | None
    draft: str | None
    drafted: bool  # whether the winner is the draft
    answers: frozenset[str]  # of all candidates
    judgement: Judgement | None = None
    shadow: "RememberedAnswer | None" = None  # what refinement would have answered

    @classmethod
    def of(cls, outcome: Solved, solve_id: str, request_id: str, client: str) -> Self:
        """What a judgement needs of an answered question."""
        plain = [_plain(each.answer) for each in outcome.state.candidates]
        return cls(
            solve_id=solve_id,
            request_id=request_id,
            client=client,
            strategy=outcome.state.job.strategy.value,
            kind=outcome.selected.kind.value,
            answer=plain[outcome.selection.candidate],
            draft=plain[0],
            drafted=outcome.selection.candidate == 0,
            answers=frozenset(each for each in plain if each is not None),
        )

    def judge(self, correct: bool) -> Judgement:
        """What follows from the answer being right or wrong."""
        same = self.drafted or (self.draft is not None and self.draft == self.answer)
        draft = correct if same else (False if correct else None)
        if correct:
            choice: SelectionVerdict = "right"
        else:
            alone = self.answers <= {self.answer}
            choice = "none_right" if alone else "unknown"
        return Judgement(correct, draft, _change(correct, draft), choice)

    def compare(self, expected: str) -> Judgement:
        """What follows from the right answer."""
        right = _plain(expected)
        correct, draft = self.answer == right, self.draft == right
        choice: SelectionVerdict = "right" if correct else "none_right"
        if not correct and right in self.answers:
            choice = "regret"
        return Judgement(correct, draft, _change(correct, draft), choice)


class AnswerMemory:
    """The last `most` answers; older ones are forgotten. 0: nothing is remembered."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: OrderedDict[str, RememberedAnswer] = OrderedDict()
        self._by_request: dict[str, list[str]] = {}  # ids of answers, by id of their request

    def __len__(self) -> int:
        return len(self._answers)

    def remember(
        self, outcome: Solved, solve_id: str, request_id: str, client: str
    ) -> RememberedAnswer | None:
        """Keep what a judgement needs of an answered question."""
        if not self._most:
            return None
        answer = RememberedAnswer.of(outcome, solve_id, request_id, client)
        self._answers[solve_id] = answer
        self._by_request.setdefault(request_id, []).append(solve_id)
        while len(self._answers) > self._most:
            _, oldest = self._answers.popitem(last=False)
            ids = self._by_request[oldest.request_id]
            ids.remove(oldest.solve_id)
            if not ids:
                del self._by_request[oldest.request_id]
        return answer

    def find(self, answer_id: str, client: str) -> list[RememberedAnswer]:
        """The client's answers with this id, their own or their request's."""
        ids = [answer_id] if answer_id in self._answers else self._by_request.get(answer_id, ())
        return [found for each in ids if (found := self._answers[each]).client == client]


class FeedbackMetrics:
    """What judgements are counted in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.remembered = Gauge(
            "glore_feedback_remembered", "Answers that can be judged now.", registry=registry
        )
        self.verdicts = Counter(
            "glore_feedback",
            "Answers that a caller has judged, by the kind of candidate that won.",
            ["kind", "strategy", "verdict"],
            registry=registry,
        )
        self.changes = Counter(
            "glore_feedback_changes",
            "Judged answers by what refinement did to the draft's answer.",
            ["kind", "strategy", "change"],
            registry=registry,
        )
        self.choices = Counter(
            "glore_feedback_choices",
            "Judged answers by whether the selector took a right candidate.",
            ["strategy", "choice"],
            registry=registry,
        )
        known(self.verdicts, KINDS, STRATEGIES, ("right", "wrong"))
        known(self.changes, KINDS, STRATEGIES, CHANGES)
        known(self.choices, STRATEGIES, CHOICES)

    def judged(self, answer: RememberedAnswer, judgement: Judgement) -> None:
        """Count a judgement."""
        verdict = "right" if judgement.correct else "wrong"
        self.verdicts.labels(answer.kind, answer.strategy, verdict).inc()
        self.changes.labels(answer.kind, answer.strategy, judgement.change).inc()
        self.choices.labels(answer.strategy, judgement.choice).inc()


def _change(correct: bool, draft: bool | None) -> Change:
    if draft is None:
        return "unknown"
    if correct:
        return "kept_right" if draft else "mended"
    return "spoilt" if draft else "kept_wrong"


def _plain(answer: str | None) -> str | None:
    """What equal answers have in common: a number in plain form, other texts as they are."""
    if answer is None or len(answer) > LONGEST_ANSWER:
        return None
    return plain_number(answer) or answer.strip()
