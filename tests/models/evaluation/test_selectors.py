import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from glore.refinement.types import (
    Budget,
    Candidate,
    CandidateKind,
    Job,
    Sampling,
    State,
    Strategy,
)
from glore.verifiers.arithmetic import Arithmetic
from glore_models.data.problems import Problem
from glore_models.data.run_folder import Thresholds
from glore_models.evaluation.batches import Batches
from glore_models.evaluation.selector_report import as_markdown, joined, report, row
from glore_models.evaluation.selectors import (
    DRAFT,
    LIKELIHOOD,
    WAYS,
    Candidates,
    Found,
    SelectedAnswer,
    find,
    within_questions,
)
from tests.models.evaluation.drawers import FakeDrawer, FakeScorer

TRUE, FALSE = "3 + 4 = 7\n#### 7", "3 + 4 = 8\n#### 8"
PROBLEMS = [
    Problem(name, f"{name}: what is 3 + 4?", "7", TRUE, "test")
    for name in ("right", "mended", "fifth", "never")
]


def student(prompt: str, number: int) -> str:
    """A right draft; or a right text as sample 5 alone; else wrong ones that all differ."""
    if "right:" in prompt or ("fifth:" in prompt and number == 5):
        return TRUE
    return f"Attempt {number}.\n{FALSE}"


def refiner(prompt: str, number: int) -> str:
    return TRUE if "mended:" in prompt else f"Refinement {number}.\n{FALSE}"


@pytest.fixture
def found(tmp_path: Path) -> Found:
    writers = {
        "student": FakeDrawer(student),
        "global_refiner": FakeDrawer(refiner),
        "local_refiner": FakeDrawer(refiner),
    }
    batches = Batches(
        writers, {role: FakeScorer() for role in ("sorm", "orm", LIKELIHOOD)}, tmp_path, 256
    )
    thresholds = Thresholds(0.0, 0.0, gate=0.0)
    return asyncio.run(find(PROBLEMS, batches, thresholds, (Arithmetic(),)))


def rights(found: Found, way: str) -> list[bool]:
    return [each.right for each in found.answered[way]]


def test_ways_answer_as_the_gateway_does(found: Found) -> None:
    assert rights(found, DRAFT) == [True, False, False, False]
    assert rights(found, "glore") == [True, True, False, False]
    assert rights(found, "adaptive") == [True, True, False, False]
    assert rights(found, "adaptive, 3 calls") == [True, True, False, False]
    assert rights(found, "draft, then up to 3 samples") == [True, False, False, False]
    assert rights(found, "draft, then up to 6 samples") == [True, False, True, False]


def test_ways_that_stop_pay_for_what_they_wrote(found: Found) -> None:
    texts = {way: [each.texts for each in found.answered[way]] for way in WAYS}
    assert texts["adaptive"] == [1, 2, 4, 4]
    assert texts["adaptive, 3 calls"] == [1, 2, 2, 2]
    assert texts["draft, then up to 6 samples"] == [1, 7, 6, 7]
    assert texts["best_of_n"] == [3, 3, 3, 3]
    one, draft, stopped = map(len, (TRUE, f"Attempt 0.\n{FALSE}", "Attempt 0.\n3 + 4 = 8\n"))
    tokens = [each.tokens for each in found.answered["draft, then up to 6 samples"]]
    assert tokens == [one, draft + 6 * stopped, draft + 4 * stopped + one, draft + 6 * stopped]
    gated = [each.tokens for each in found.answered["gated"]]
    refinement = len("Refinement 0.\n3 + 4 = 8\n")
    assert gated[2:] == [draft + 2 * refinement] * 2


def test_a_perfect_selector_finds_what_there_is_and_verifiers_find_it_here(found: Found) -> None:
    sets = found.candidates["GLoRe, verifier's first error"]
    assert [each.picked("perfect").right for each in sets] == [True, True, False, False]
    assert [each.picked("verifiers, ORM").right for each in sets] == [True, True, False, False]


def created(*candidates: tuple[str, bool, float, bool]) -> Candidates:
    """Candidates of one question: text, whether it is refuted, ORM score, whether it is right."""
    findings = Arithmetic().check("", [FALSE.splitlines()[0]])
    job = Job("q", Strategy.GLORE, Sampling(), Budget(1, 1, 1), threshold=0.5, gate=None)
    state = State(
        job,
        tuple(
            Candidate(
                CandidateKind.SAMPLE if index else CandidateKind.DRAFT,
                text,
                None,
                "stop",
                outcome_score=score,
                findings=findings if refuted else (),
            )
            for index, (text, refuted, score, _) in enumerate(candidates)
        ),
    )
    likelihoods = tuple(1 - score for _, _, score, _ in candidates)
    return Candidates(state, tuple(right for *_, right in candidates), 10, likelihoods)


def test_the_orm_alone_does_not_see_what_is_refuted() -> None:
    candidates = created(("a", True, 0.9, False), ("b", False, 0.5, True), ("c", False, 0.6, False))
    assert not candidates.picked("ORM").right
    assert not candidates.picked("verifiers, ORM").right
    assert candidates.picked("perfect").right
    lower = created(("a", True, 0.9, False), ("b", False, 0.5, True), ("c", False, 0.4, False))
    assert not lower.picked("ORM").right
    assert lower.picked("verifiers, ORM").right


def test_the_likelihood_alone_ranks_without_orm_and_verifiers() -> None:
    candidates = created(
        ("a", True, 0.1, False), ("b", False, 0.05, True), ("c", False, 0.9, False)
    )
    assert candidates.picked("likelihood").right
    refuted = created(("a", True, 0.1, True), ("b", False, 0.6, False))
    assert refuted.picked("likelihood").right
    assert not refuted.picked("verifiers, ORM").right


def test_the_auc_within_questions_counts_pairs_of_different_texts() -> None:
    one = created(("a", True, 0.9, False), ("b", False, 0.5, True), ("b", False, 0.5, True))
    two = created(("a", False, 0.1, False), ("b", False, 0.5, True), ("c", False, 0.2, True))
    found = Found({"set": [one, two]}, {})
    by_orm = within_questions(found, lambda each, _: each.outcome_score or 0.0)
    assert by_orm is not None
    assert by_orm.value == pytest.approx(2 / 3)  # of three pairs, one is the wrong way round
    by_verifier = within_questions(found, lambda each, _: float(not each.findings))
    assert by_verifier is not None
    assert by_verifier.value == pytest.approx((1 + 0.5 + 0.5) / 3)
    by_likelihood = within_questions(found, lambda _, likelihood: likelihood)
    assert by_likelihood is not None
    assert by_likelihood.value == pytest.approx(1 / 3)  # here the ORM's order turned round
    alone = created(("a", False, 0.1, True))
    assert within_questions(Found({"set": [alone]}, {}), lambda *_: 0.0) is None


def test_a_row_compares_with_the_draft_question_by_question() -> None:
    drafts = [SelectedAnswer(right, 10, 1) for right in (True, True, False, False)]
    ours = [SelectedAnswer(right, 30, 3) for right in (True, False, True, True)]
    counted = row("a", "", ours, drafts)
    assert (counted.right, counted.alone, counted.draft_alone) == (3, 2, 1)
    assert counted.p == 1.0
    assert counted.tokens == 30
    assert counted.per_thousand == pytest.approx(25.0)


def test_the_report_holds_every_set_and_all_of_them_together(found: Found) -> None:
    both = joined([found, found])
    text = as_markdown([report("one", found), report("both", both)], "glore eval")
    assert "## one, n = 4" in text
    assert "## both, n = 8" in text
    assert "| draft | 1/4 25.0%" in text
    assert "| draft | 2/8 25.0%" in text
    assert "| glore | 2/4 50.0%" in text
    assert "1 : 0 (1)" in text
    assert "adaptive against draft, then up to 3 samples 1 : 0 (1);" in text
    assert "adaptive, 2 rounds against draft, then up to 6 samples 1 : 1 (1);" in text


def test_thresholds_without_a_gate_are_refused(tmp_path: Path) -> None:
    batches = Batches({}, {}, tmp_path, 256)
    thresholds = replace(Thresholds(0.0, 0.0, gate=0.0), gate=None)
    with pytest.raises(ValueError, match="no gate"):
        asyncio.run(find(PROBLEMS, batches, thresholds, ()))
