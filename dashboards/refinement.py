"""The dashboard *Refinement*: whether refinement pays, and where it does not."""

from typing import Final

from dashboards.panels import (
    BY_STRATEGY,
    COUNT,
    HERE,
    NO_UNIT,
    PER_SECOND,
    SECONDS,
    SHARE,
    Board,
    Panel,
    Query,
    Row,
    mean,
    quantile,
    rate,
    share,
    split,
)

_ANSWERS: Final = rate("glore_candidates_selected_total", "strategy", BY_STRATEGY)
_ALL_ANSWERS: Final = rate("glore_candidates_selected_total", "", BY_STRATEGY)
_KNOWN: Final = f'{BY_STRATEGY},change!="unknown"'
_BESIDE_DRAFT: Final = f'{BY_STRATEGY},kind!="draft"'
_CHANGED: Final = f'{HERE},answer="changed"'
_JUDGED: Final = rate("glore_feedback_changes_total", "kind", _KNOWN)

_ANSWERED: Final = Row(
    "Answers",
    (
        Panel(
            "Answers",
            "Questions answered per second, those of batches included.",
            PER_SECOND,
            (Query(_ANSWERS, "{{strategy}}"),),
            stacked=True,
        ),
        Panel(
            "Winners",
            "Share of the answers by the kind of candidate that won. Drafts that nearly always win "
            "say that refinement is not needed, or that the selector does not trust it.",
            SHARE,
            (Query(split("glore_candidates_selected_total", "kind", BY_STRATEGY), "{{kind}}"),),
            stacked=True,
        ),
        Panel(
            "What decided",
            "Share of the answers by what chose the winner. `fallback` and `agreement` mean that "
            "scores were missing.",
            SHARE,
            (Query(split("glore_selections_total", "reason", BY_STRATEGY), "{{reason}}"),),
            stacked=True,
        ),
        Panel(
            "Changed answers",
            "Share of the answers that differ from their draft's because a refinement won.",
            SHARE,
            (
                Query(
                    share(rate("glore_answers_changed_total", "strategy", BY_STRATEGY), _ANSWERS),
                    "{{strategy}}",
                ),
            ),
        ),
        Panel(
            "Rounds per answer",
            "Rounds of refinement of one question, on average; at least 1.",
            NO_UNIT,
            (
                Query(
                    share(rate("glore_refinement_rounds_total", "strategy", BY_STRATEGY), _ANSWERS),
                    "{{strategy}}",
                ),
            ),
        ),
        Panel(
            "Drafts at the gate",
            "Share of the drafts of `gated` and `adaptive` that passed and were the answer, were "
            "held and refined, or had no step scores.",
            SHARE,
            (
                Query(
                    split("glore_draft_gate_verdicts_total", "verdict", BY_STRATEGY), "{{verdict}}"
                ),
            ),
            stacked=True,
        ),
    ),
)

_FEEDBACK: Final = Row(
    "What callers say (POST /feedback)",
    (
        Panel(
            "Live accuracy by winner",
            "Share of the judged answers that were right, by the kind of candidate that won.",
            SHARE,
            (
                Query(
                    share(
                        rate("glore_feedback_total", "kind", f'{BY_STRATEGY},verdict="right"'),
                        rate("glore_feedback_total", "kind", BY_STRATEGY),
                    ),
                    "{{kind}}",
                ),
            ),
        ),
        Panel(
            "Live accuracy by strategy",
            "Share of the judged answers that were right, by strategy.",
            SHARE,
            (
                Query(
                    share(
                        rate("glore_feedback_total", "strategy", f'{BY_STRATEGY},verdict="right"'),
                        rate("glore_feedback_total", "strategy", BY_STRATEGY),
                    ),
                    "{{strategy}}",
                ),
            ),
        ),
        Panel(
            "Selector regret",
            "Share of the judged answers that were wrong although a candidate was right. Verdicts "
            "without an expected answer that leave this open are left out.",
            SHARE,
            (
                Query(
                    share(
                        rate(
                            "glore_feedback_choices_total",
                            "strategy",
                            f'{BY_STRATEGY},choice="regret"',
                        ),
                        rate(
                            "glore_feedback_choices_total",
                            "strategy",
                            f'{BY_STRATEGY},choice!="unknown"',
                        ),
                    ),
                    "{{strategy}}",
                ),
            ),
        ),
        Panel(
            "Mended and spoilt",
            "Share of the judged answers where refinement turned a wrong draft right (mended) or a "
            "right draft wrong (spoilt), by the kind that won. Refinement pays while mended is "
            "above spoilt.",
            SHARE,
            tuple(
                Query(
                    share(
                        rate(
                            "glore_feedback_changes_total",
                            "kind",
                            f'{BY_STRATEGY},change="{change}"',
                        ),
                        _JUDGED,
                    ),
                    f"{change} {{{{kind}}}}",
                )
                for change in ("mended", "spoilt")
            ),
            width=16,
        ),
        Panel(
            "Verdicts",
            "Judged answers per second. Few verdicts make the shares beside it noisy.",
            PER_SECOND,
            (Query(rate("glore_feedback_total", "verdict", BY_STRATEGY), "{{verdict}}"),),
        ),
    ),
)

_ERRORS: Final = Row(
    "Errors and scores",
    (
        Panel(
            "Drafts with an error",
            "Share of the answered questions in whose draft a verifier refuted a step, or one "
            "scored below the threshold.",
            SHARE,
            (
                Query(
                    share(
                        rate("glore_first_errors_found_total", "strategy", BY_STRATEGY), _ANSWERS
                    ),
                    "{{strategy}}",
                ),
            ),
        ),
        Panel(
            "Step of the first error",
            "Index of the first wrong step, from 0: median and 90th percentile, by who found it.",
            NO_UNIT,
            (
                Query(quantile(0.5, "glore_first_error_step", "found_by"), "{{found_by}} p50"),
                Query(quantile(0.9, "glore_first_error_step", "found_by"), "{{found_by}} p90"),
            ),
        ),
        Panel(
            "Place of the first error",
            "Share of the draft's steps before its first wrong one, on average. A local refinement "
            "keeps that much.",
            SHARE,
            (Query(mean("glore_first_error_position_ratio", "found_by"), "{{found_by}}"),),
        ),
        Panel(
            "Lowest step score of the draft",
            "Median and 10th percentile of the draft's lowest SORM score, beside the threshold of "
            "an error and that of the gate.",
            NO_UNIT,
            (
                Query(quantile(0.5, "glore_draft_lowest_step_score", "", BY_STRATEGY), "p50"),
                Query(quantile(0.1, "glore_draft_lowest_step_score", "", BY_STRATEGY), "p10"),
                Query(f"max(glore_first_error_threshold{{{HERE}}})", "threshold"),
                Query(f"max(glore_draft_gate_threshold{{{HERE}}})", "gate"),
            ),
        ),
        Panel(
            "ORM margin",
            "Highest outcome score less the draft's, and less that of the next best text: means. "
            "A small margin is a choice that could as well have gone the other way.",
            NO_UNIT,
            (Query(mean("glore_outcome_score_margin", "over", BY_STRATEGY), "over {{over}}"),),
        ),
        Panel(
            "Refuted steps",
            "Steps that a verifier refuted, per answered question, by kind of candidate.",
            NO_UNIT,
            (
                Query(
                    f"{rate('glore_steps_refuted_total', 'kind, verifier')} / on () group_left () "
                    f"({rate('glore_candidates_selected_total')} > 0)",
                    "{{verifier}} {{kind}}",
                ),
            ),
        ),
    ),
)

_CANDIDATES: Final = Row(
    "Candidates and their price",
    (
        Panel(
            "Candidates that repeat the draft",
            "Share of the candidates whose text is the draft's, by kind. They cost tokens and "
            "change nothing.",
            SHARE,
            (
                Query(
                    share(
                        rate("glore_candidates_repeating_draft_total", "kind", _BESIDE_DRAFT),
                        rate("glore_candidates_total", "kind", _BESIDE_DRAFT),
                    ),
                    "{{kind}}",
                ),
            ),
        ),
        Panel(
            "Tokens written per answer",
            "Tokens that the engines wrote for one answered question, by role.",
            COUNT,
            (
                Query(
                    f"{rate('glore_generated_tokens_total', 'role', BY_STRATEGY)} / on () "
                    f"group_left () ({_ALL_ANSWERS} > 0)",
                    "{{role}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Tokens read per answer",
            "Tokens that the engines read for one answered question, by role.",
            COUNT,
            (
                Query(
                    f"{rate('glore_prompt_tokens_total', 'role', BY_STRATEGY)} / on () "
                    f"group_left () ({_ALL_ANSWERS} > 0)",
                    "{{role}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Tokens written by strategy",
            "Tokens written for one answered question, by strategy: what a strategy costs.",
            COUNT,
            (
                Query(
                    share(rate("glore_generated_tokens_total", "strategy", BY_STRATEGY), _ANSWERS),
                    "{{strategy}}",
                ),
            ),
        ),
        Panel(
            "Stages lost",
            "Stages that gave nothing, per second, by stage and reason. Each costs its candidate "
            "or its scores, not the answer.",
            PER_SECOND,
            (
                Query(
                    f"{rate('glore_stages_degraded_total', 'stage, reason')} > 0",
                    "{{stage}}: {{reason}}",
                ),
            ),
            width=16,
        ),
    ),
)

_SHADOWS: Final = Row(
    "What refinement would do to drafts (GLORE_SHADOW)",
    (
        Panel(
            "Answers that would change",
            "Share of the refined shadows whose answer is another than that of the draft which "
            "was sent, by the kind of candidate that won.",
            SHARE,
            (
                Query(
                    f"{rate('glore_shadow_answers_total', 'kind', _CHANGED)} / on () "
                    f"group_left () ({rate('glore_shadow_answers_total')} > 0)",
                    "{{kind}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Refuted drafts",
            "Share of the refined shadows whose draft a verifier refutes: those whose winner it "
            "does not refute are mended as far as it can tell.",
            SHARE,
            tuple(
                Query(
                    share(
                        rate("glore_shadow_drafts_refuted_total", "", f'{HERE},winner="{winner}"'),
                        rate("glore_shadow_answers_total"),
                    ),
                    legend,
                )
                for winner, legend in (("not_refuted", "mended"), ("refuted", "still refuted"))
            ),
            stacked=True,
        ),
        Panel(
            "Mended and spoilt, as callers say",
            "Share of the shadows with an expected answer (POST /feedback) where refinement would "
            "turn a wrong draft right (mended) or a right one wrong (spoilt).",
            SHARE,
            tuple(
                Query(
                    share(
                        rate(
                            "glore_shadow_feedback_changes_total", "", f'{HERE},change="{change}"'
                        ),
                        rate("glore_shadow_feedback_changes_total"),
                    ),
                    change,
                )
                for change in ("mended", "spoilt")
            ),
        ),
        Panel(
            "ORM margin over the draft",
            "Highest outcome score less the draft's, on average over the shadows that have both.",
            NO_UNIT,
            (Query(mean("glore_shadow_outcome_score_margin", ""), "margin"),),
        ),
        Panel(
            "Tokens per shadow",
            "Tokens that refinement would write and read for one question, by role.",
            COUNT,
            tuple(
                Query(
                    f"{rate(f'glore_shadow_{kind}_tokens_total', 'role')} / on () "
                    f"group_left () ({rate('glore_shadow_answers_total')} > 0)",
                    f"{legend} {{{{role}}}}",
                )
                for kind, legend in (("generated", "written:"), ("prompt", "read:"))
            ),
        ),
        Panel(
            "Time of refinement",
            "Seconds that refinement would add to an answer: median and 90th percentile.",
            SECONDS,
            (
                Query(quantile(0.5, "glore_shadow_duration_seconds", ""), "p50"),
                Query(quantile(0.9, "glore_shadow_duration_seconds", ""), "p90"),
            ),
        ),
        Panel(
            "Shadows",
            "Drafts per second that were chosen to be refined, by what came of it. Those without "
            "a slot and those displaced say that there is little to spare.",
            PER_SECOND,
            (Query(rate("glore_shadows_total", "outcome"), "{{outcome}}"),),
            stacked=True,
        ),
        Panel(
            "Stages lost by shadows",
            "Stages that gave nothing, per refined shadow. While refiners or scorers fail, the "
            "panels beside this one say too little of refinement.",
            NO_UNIT,
            (
                Query(
                    f"{rate('glore_shadow_stages_degraded_total', 'stage')} / on () "
                    f"group_left () ({rate('glore_shadow_answers_total')} > 0)",
                    "{{stage}}",
                ),
            ),
        ),
    ),
)

BOARD: Final = Board(
    uid="glore-refinement",
    title="GLoRe: Refinement",
    description="Does refinement pay? Winners, changed answers, verdicts of callers, first errors, "
    "scores, and what an answer costs.",
    rows=(_ANSWERED, _FEEDBACK, _SHADOWS, _ERRORS, _CANDIDATES),
    by_strategy=True,
)
