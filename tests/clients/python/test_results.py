import pytest
from pydantic import ValidationError

from glore_client import Sampling, SolveResult
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


def test_results_are_frozen() -> None:
    result = SolveResult.model_validate(samples.result())
    with pytest.raises(ValidationError):
        setattr(result, "answer", "1")  # noqa: B010 - a plain assignment does not type-check


def test_a_mistyped_sampling_setting_of_a_file_is_refused_as_well() -> None:
    with pytest.raises(ValidationError, match="temprature"):
        Sampling.model_validate({"temprature": 1})
