import pytest
from pydantic import ValidationError

from glore_client import Finding, FirstError, RefinedDelta, Sampling, SolveResult
from tests.clients.python import samples


def test_a_response_is_read_whole() -> None:
    result = SolveResult.model_validate(samples.result(selected=1))
    assert result.answer == "10"
    assert result.candidates[result.selected.candidate].kind == "global_refinement"
    assert [step.score for step in result.draft.steps] == [0.98, 0.21, 0.15]
    assert result.draft.first_error == 1
    assert result.usage.stages[0].generated_tokens == 70


def test_fields_of_a_newer_gateway_are_ignored() -> None:
    body = samples.result() | {"streamed": True}
    body["usage"]["joules"] = 3
    body["selected"]["reason"] = "a_new_reason"
    assert SolveResult.model_validate(body).selected.reason == "a_new_reason"


def test_what_verifiers_found_is_read() -> None:
    body = samples.result(selected=1, is_refuted=True) | {"rounds": 2}
    result = SolveResult.model_validate(body)
    draft, refinement, _ = result.candidates
    assert draft.findings == (Finding.model_validate(samples.FINDING),)
    (found,) = draft.findings
    assert (found.verifier, found.step, found.start, found.end) == ("arithmetic", 1, 9, 11)
    assert (found.claimed, found.expected, found.expression) == ("12", "10", "12 - 2")
    assert (refinement.findings, refinement.base, draft.base) == ((), 0, None)
    assert (result.draft.first_error_by, result.rounds) == ("arithmetic", 2)


def test_an_answer_of_a_gateway_without_verifiers_is_read() -> None:
    result = SolveResult.model_validate(samples.older(samples.result(selected=1)))
    assert {(each.findings, each.base) for each in result.candidates} == {((), None)}
    assert (result.draft.first_error_by, result.rounds) == (None, 1)


def test_events_of_a_gateway_without_verifiers_are_read() -> None:
    error = FirstError.read('{"index": 1, "threshold": 0.5, "critique": "[BAD] 1"}')
    assert (error.index, error.found_by) == (1, None)
    delta = RefinedDelta.read('{"kind": "local_refinement", "text": "2"}')
    assert (delta.base, delta.round) == (0, 1)


def test_a_finding_says_in_words_what_is_wrong() -> None:
    found = {**samples.FINDING, "claimed": "28", "expected": "30", "expression": "45 x 2/3"}
    assert str(Finding.model_validate(found)) == "45 x 2/3 = 28: it is 30"
    assert str(Finding.model_validate(found | {"expression": ""})) == "28: it is 30"


def test_results_are_frozen() -> None:
    result = SolveResult.model_validate(samples.result())
    with pytest.raises(ValidationError):
        setattr(result, "answer", "1")  # noqa: B010 - a plain assignment does not type-check


def test_a_mistyped_sampling_setting_of_a_file_is_refused_as_well() -> None:
    with pytest.raises(ValidationError, match="temprature"):
        Sampling.model_validate({"temprature": 1})
