"""Metrics of what refinement did to each question, recorded from its last state."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from glore.formats.steps import split_steps
from glore.refinement.judging import passes
from glore.refinement.runner import Solved
from glore.refinement.types import (
    PLANS,
    CandidateKind,
    Cost,
    SelectionReason,
    Stage,
    State,
    Strategy,
)
from glore.telemetry.buckets import MARGINS, RATIOS, SCORES, SECONDS, STEPS
from glore.telemetry.labels import (
    DEGRADED_REASONS,
    KINDS,
    OK,
    ROLE_OF,
    STAGES,
    STRATEGIES,
    known,
)

_REFINED: Final = frozenset({CandidateKind.GLOBAL, CandidateKind.LOCAL})
_OVER: Final = ("draft", "second")
_VERDICTS: Final = {True: "passed", False: "held", None: "unknown"}


class RefinementMetrics:
    """All metrics of candidates, scores, stages and tokens. `verifiers` are the names of those."""

    def __init__(self, registry: CollectorRegistry, verifiers: tuple[str, ...] = ()) -> None:
        by_strategy = ["strategy"]
        self.stage_seconds = Histogram(
            "glore_stage_duration_seconds",
            "Seconds of one run of a stage, whether it gave something or not.",
            ["stage", "role", "outcome"],
            buckets=SECONDS,
            registry=registry,
        )
        self.prompt_tokens = Counter(
            "glore_prompt_tokens",
            "Tokens read by the engines.",
            ["stage", "role", "strategy"],
            registry=registry,
        )
        self.generated_tokens = Counter(
            "glore_generated_tokens",
            "Tokens written by the engines.",
            ["stage", "role", "strategy"],
            registry=registry,
        )
        self.selected = Counter(
            "glore_candidates_selected",
            "Answers by the kind of candidate that won.",
            ["kind", "strategy"],
            registry=registry,
        )
        self.selections = Counter(
            "glore_selections",
            "Answers by what decided between the candidates.",
            ["reason", "strategy"],
            registry=registry,
        )
        self.candidates = Counter(
            "glore_candidates",
            "Candidates of answered questions, the draft included.",
            ["kind", "strategy"],
            registry=registry,
        )
        self.repeated = Counter(
            "glore_candidates_repeating_draft",
            "Candidates whose text is that of the draft.",
            ["kind", "strategy"],
            registry=registry,
        )
        self.refuted = Counter(
            "glore_candidates_refuted",
            "Candidates in which a verifier refuted a step.",
            ["kind", "verifier"],
            registry=registry,
        )
        self.steps_refuted = Counter(
            "glore_steps_refuted",
            "Steps of candidates that a verifier refuted.",
            ["kind", "verifier"],
            registry=registry,
        )
        self.first_errors = Counter(
            "glore_first_errors_found",
            "Drafts in which a verifier refuted a step, or one scored below the threshold.",
            by_strategy,
            registry=registry,
        )
        self.first_error_step = Histogram(
            "glore_first_error_step",
            "Index of the draft's first wrong step, from 0.",
            ["found_by"],
            buckets=STEPS,
            registry=registry,
        )
        self.first_error_position = Histogram(
            "glore_first_error_position_ratio",
            "Share of the draft's steps that stand before its first wrong one.",
            ["found_by"],
            buckets=RATIOS,
            registry=registry,
        )
        self.lowest_score = Histogram(
            "glore_draft_lowest_step_score",
            "Lowest SORM score of a step of the draft, where its steps were scored.",
            by_strategy,
            buckets=SCORES,
            registry=registry,
        )
        self.margin = Histogram(
            "glore_outcome_score_margin",
            "Highest ORM score of a question less that of the draft, or of the next best text.",
            ["over", "strategy"],
            buckets=MARGINS,
            registry=registry,
        )
        self.gate = Counter(
            "glore_draft_gate_verdicts",
            "Drafts that came to the gate: passed (it is the answer), held, or unknown.",
            ["verdict", "strategy"],
            registry=registry,
        )
        self.rounds = Counter(
            "glore_refinement_rounds",
            "Rounds of refinement; each question has at least one.",
            by_strategy,
            registry=registry,
        )
        self.answers_changed = Counter(
            "glore_answers_changed",
            "Requests whose answer differs from their draft's because a refinement won.",
            by_strategy,
            registry=registry,
        )
        self.degraded = Counter(
            "glore_stages_degraded",
            "Stages that gave nothing, and why.",
            ["stage", "reason"],
            registry=registry,
        )
        self._begin(verifiers)

    def _begin(self, verifiers: tuple[str, ...]) -> None:
        """Have all series there from the start, so that `increase()` sees the first event."""
        gated = [each.value for each in Strategy if PLANS[each].gated]
        scoring = [each.value for each in Strategy if PLANS[each].refines_locally]
        ranking = [each.value for each in Strategy if PLANS[each].ranks]
        reasons = [each.value for each in SelectionReason]
        steps = [(stage, ROLE_OF[Stage(stage)]) for stage in STAGES]
        for metric in (self.prompt_tokens, self.generated_tokens):
            for stage, role in steps:
                known(metric, (stage,), (role,), STRATEGIES)
        for stage, role in steps:
            known(self.stage_seconds, (stage,), (role,), (OK,))
        known(self.selections, reasons, STRATEGIES)
        for metric in (self.selected, self.candidates, self.repeated):
            known(metric, KINDS, STRATEGIES)
        for metric in (self.refuted, self.steps_refuted):
            known(metric, KINDS, verifiers)
        for by_finder in (self.first_error_step, self.first_error_position):
            known(by_finder, ("sorm", *verifiers))
        for metric in (self.first_errors, self.rounds, self.answers_changed):
            known(metric, STRATEGIES)
        known(self.lowest_score, scoring)
        known(self.margin, _OVER, ranking)
        known(self.gate, _VERDICTS.values(), gated)
        known(self.degraded, STAGES, DEGRADED_REASONS)

    def solved(self, outcome: Solved) -> None:
        """Count what one answered question went through."""
        state = outcome.state
        strategy = state.job.strategy.value
        selected = outcome.selected
        self.selected.labels(selected.kind.value, strategy).inc()
        self.selections.labels(outcome.selection.reason.value, strategy).inc()
        self.rounds.labels(strategy).inc(state.round)
        if selected.kind in _REFINED and selected.answer != outcome.draft.answer:
            self.answers_changed.labels(strategy).inc()
        self._draft(outcome, strategy)
        self._candidates(state, strategy)
        self._margins(state, strategy)
        self.used(state)

    def used(self, state: State) -> None:
        """Count what one question cost and what was missing, answered or not."""
        strategy = state.job.strategy.value
        for cost in state.costs:
            self._cost(cost, strategy)
        for degradation in state.degraded:
            self.degraded.labels(degradation.stage.value, str(degradation.reason)).inc()

    def _cost(self, cost: Cost, strategy: str) -> None:
        stage, role = cost.stage.value, ROLE_OF[cost.stage]
        self.stage_seconds.labels(stage, role, cost.outcome).observe(cost.seconds)
        self.prompt_tokens.labels(stage, role, strategy).inc(cost.prompt_tokens)
        self.generated_tokens.labels(stage, role, strategy).inc(cost.generated_tokens)

    def _draft(self, outcome: Solved, strategy: str) -> None:
        """What its scores and the verifiers say of the draft."""
        draft, error = outcome.draft, outcome.first_error
        if error is not None:
            self.first_errors.labels(strategy).inc()
            self.first_error_step.labels(error.found_by).observe(error.step)
            steps = len(draft.step_scores or ()) or len(split_steps(draft.solution))
            self.first_error_position.labels(error.found_by).observe(error.step / max(1, steps))
        if draft.step_scores:
            self.lowest_score.labels(strategy).observe(min(draft.step_scores))
        if outcome.state.job.plan.gated:
            self.gate.labels(_VERDICTS[passes(outcome.state, 0)], strategy).inc()

    def _candidates(self, state: State, strategy: str) -> None:
        draft = state.candidates[0].solution
        for index, candidate in enumerate(state.candidates):
            kind = candidate.kind.value
            self.candidates.labels(kind, strategy).inc()
            if index and candidate.solution == draft:
                self.repeated.labels(kind, strategy).inc()
            if not candidate.findings:
                continue
            steps = {(finding.verifier, finding.step) for finding in candidate.findings}
            for verifier in {each for each, _ in steps}:
                self.refuted.labels(kind, verifier).inc()
            for verifier, _ in steps:
                self.steps_refuted.labels(kind, verifier).inc()

    def _margins(self, state: State, strategy: str) -> None:
        """By how much the best outcome score is above others; texts that are equal count once."""
        for over, margin in margins(state).items():
            self.margin.labels(over, strategy).observe(margin)


def margins(state: State) -> dict[str, float]:
    """By how much the best outcome score is above the `second` and above that of the `draft`."""
    scores = {
        each.solution: each.outcome_score
        for each in state.candidates
        if each.outcome_score is not None
    }
    if len(scores) < 2:  # noqa: PLR2004 - a margin is between two
        return {}
    best, second, *_ = sorted(scores.values(), reverse=True)
    draft = state.candidates[0].outcome_score
    return {"second": best - second} | ({} if draft is None else {"draft": best - draft})
