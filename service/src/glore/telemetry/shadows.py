"""Metrics of what refinement would have done to questions that were answered by their draft."""

from typing import Final, Literal, TypeAlias, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram

from glore.refinement.runner import Solved
from glore.telemetry.buckets import MARGINS, SECONDS
from glore.telemetry.feedback import CHANGES, Judgement
from glore.telemetry.labels import KINDS, ROLE_OF, STAGES, known
from glore.telemetry.refinements import margins

# How a shadow ended: it was refined; there was no spare slot for it; a question needed its slot;
# the gateway stopped; or it met a bug.
ShadowOutcome: TypeAlias = Literal["refined", "no_slot", "displaced", "dropped", "failed"]
_CHANGED: Final = {True: "changed", False: "same"}
_WINNERS: Final = {True: "refuted", False: "not_refuted"}


class ShadowMetrics:
    """Counts shadows alone: no other metric of questions, stages or engine calls does."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.shadows = Counter(
            "glore_shadows",
            "Questions with strategy `draft` that were chosen to be refined too, by what came "
            "of it.",
            ["outcome"],
            registry=registry,
        )
        self.answers = Counter(
            "glore_shadow_answers",
            "Refined shadows by the kind of candidate that won, and by whether the answer is "
            "another than the draft's.",
            ["kind", "answer"],
            registry=registry,
        )
        self.refuted = Counter(
            "glore_shadow_drafts_refuted",
            "Refined shadows whose draft a verifier refutes, by whether it refutes the winner too.",
            ["winner"],
            registry=registry,
        )
        self.margin = Histogram(
            "glore_shadow_outcome_score_margin",
            "Highest ORM score of a refined shadow less that of its draft.",
            buckets=MARGINS,
            registry=registry,
        )
        self.seconds = Histogram(
            "glore_shadow_duration_seconds",
            "Seconds that refinement took, after the draft.",
            buckets=SECONDS,
            registry=registry,
        )
        self.prompt_tokens = Counter(
            "glore_shadow_prompt_tokens",
            "Tokens read by the engines for refined shadows.",
            ["stage", "role"],
            registry=registry,
        )
        self.generated_tokens = Counter(
            "glore_shadow_generated_tokens",
            "Tokens written by the engines for refined shadows.",
            ["stage", "role"],
            registry=registry,
        )
        self.degraded = Counter(
            "glore_shadow_stages_degraded",
            "Stages of refined shadows that gave nothing.",
            ["stage"],
            registry=registry,
        )
        self.feedback = Counter(
            "glore_shadow_feedback_changes",
            "Refined shadows whose expected answer is known, by what refinement would have done "
            "to the draft's answer.",
            ["change"],
            registry=registry,
        )
        known(self.shadows, get_args(ShadowOutcome))
        known(self.answers, KINDS, _CHANGED.values())
        known(self.refuted, _WINNERS.values())
        for metric in (self.prompt_tokens, self.generated_tokens):
            for stage, role in ROLE_OF.items():
                known(metric, (stage.value,), (role,))
        known(self.degraded, STAGES)
        known(self.feedback, CHANGES)

    def refined(self, before: Solved, after: Solved) -> None:
        """Count what refinement made of an answered question."""
        draft, selected = after.draft, after.selected
        changed = selected.answer != draft.answer
        self.answers.labels(selected.kind.value, _CHANGED[changed]).inc()
        if draft.findings:
            self.refuted.labels(_WINNERS[bool(selected.findings)]).inc()
        if (margin := margins(after.state).get("draft")) is not None:
            self.margin.observe(margin)
        self.seconds.observe(after.seconds)
        for cost in after.state.costs[len(before.state.costs) :]:
            stage, role = cost.stage.value, ROLE_OF[cost.stage]
            self.prompt_tokens.labels(stage, role).inc(cost.prompt_tokens)
            self.generated_tokens.labels(stage, role).inc(cost.generated_tokens)
        for missing in after.state.degraded[len(before.state.degraded) :]:
            self.degraded.labels(missing.stage.value).inc()

    def judged(self, judgement: Judgement) -> None:
        """Count what a caller's verdict says of a shadow."""
        self.feedback.labels(judgement.change).inc()
