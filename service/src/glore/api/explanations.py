"""Why a candidate won, in one plain sentence."""

from typing import Final, assert_never

from glore.engines.ports import STOPPED
from glore.refinement.judging import contenders
from glore.refinement.runner import Solved
from glore.refinement.types import Candidate, CandidateKind, SelectionReason, Strategy

_NAMES: Final = {
    CandidateKind.DRAFT: "the draft",
    CandidateKind.SAMPLE: "a further sample",
    CandidateKind.GLOBAL: "the global refinement",
    CandidateKind.LOCAL: "the local refinement",
}


def explain(outcome: Solved) -> str:
    """One sentence for people; programs read `reason`."""
    winner = outcome.selected
    name = _NAMES[winner.kind]
    match outcome.selection.reason:
        case SelectionReason.ONLY_CANDIDATE:
            return _only_candidate(outcome, name)
        case SelectionReason.ACCEPTED | SelectionReason.STRATEGY:
            return _strategy(outcome, name)
        case SelectionReason.VERIFIED:
            others = len(outcome.state.candidates) - 1
            refuted = "the other is" if others == 1 else f"the {others} others are"
            return f"{_capital(name)} is refuted by no verifier; {refuted}."
        case SelectionReason.OUTCOME_SCORE:
            return _outcome_score(outcome, name)
        case SelectionReason.STEP_SCORE:
            lowest = f"{min(winner.step_scores):.2f}" if winner.step_scores else "unknown"
            return (
                f"Without outcome scores, {name} won because its weakest step, scored {lowest}, "
                f"is the best of all weakest steps."
            )
        case SelectionReason.AGREEMENT:
            return _agreement(outcome, name)
        case SelectionReason.FALLBACK:
            return f"There were no scores and no two candidates agreed, so {name} was kept."
        case _ as never:
            assert_never(never)


def _only_candidate(outcome: Solved, name: str) -> str:
    if any(each.finish_reason == STOPPED for each in outcome.state.candidates):
        return f"{_capital(name)} is refuted, and so are all others, which were stopped there."
    if outcome.state.degraded:
        missing = ", ".join(dict.fromkeys(item.stage.value for item in outcome.state.degraded))
        return f"{_capital(name)} was all there was to choose from; missing: {missing}."
    return f"{_capital(name)} was all there was to choose from."


def _strategy(outcome: Solved, name: str) -> str:
    job = outcome.state.job
    strategy = job.strategy
    if job.plan.gated:
        if job.gate is None:
            return "No verifier refutes the draft: it was not refined."
        return f"No step of the draft scored below the gate, {job.gate:.2f}: it was not refined."
    if strategy is Strategy.LOCAL and outcome.selected.kind is CandidateKind.DRAFT:
        return "No step scored below the threshold, so there was nothing to refine in the draft."
    return f"The strategy `{strategy.value}` returns {name} without ranking."


def _outcome_score(outcome: Solved, name: str) -> str:
    score = _score(outcome.selected)
    rivals, among = _rivals(outcome)
    if outcome.selected.kind is CandidateKind.DRAFT:
        others = f"{rivals - 1} other candidate{'' if rivals == 2 else 's'}{among}"  # noqa: PLR2004
        return f"{_capital(name)} has an outcome score of {score}, which none of {others} exceeds."
    sentence = f"{_capital(name)} has the highest outcome score, {score}, of {rivals} candidates"
    return f"{sentence}{among}; {_of_the_draft(outcome.draft)}."


def _of_the_draft(draft: Candidate) -> str:
    if not draft.findings:
        return f"the draft scored {_score(draft)}"
    first = draft.findings[0]
    source = f" for {first.expression}" if first.expression else ""
    return f"the draft is refuted, with {first.claimed}{source} in place of {first.expected}"


def _agreement(outcome: Solved, name: str) -> str:
    answer = outcome.selected.answer
    candidates = outcome.state.candidates
    votes = sum(candidates[index].answer == answer for index in contenders(candidates))
    rivals, among = _rivals(outcome)
    return (
        f"Without scores, {name} won because its answer, {answer}, is given by "
        f"{votes} of {rivals} candidates{among}, and no other by more."
    )


def _rivals(outcome: Solved) -> tuple[int, str]:
    """How many candidates were ranked, and words that say so where not all were."""
    candidates = outcome.state.candidates
    rivals = contenders(candidates)
    if len(rivals) == len(candidates):
        return len(rivals), ""
    refuted = any(candidates[index].findings for index in rivals)
    return len(rivals), " written to the end" if refuted else " that no verifier refutes"


def _score(candidate: Candidate) -> str:
    return "unknown" if candidate.outcome_score is None else f"{candidate.outcome_score:.2f}"


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]
