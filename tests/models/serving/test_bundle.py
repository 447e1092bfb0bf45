import json
from pathlib import Path

import pytest

from glore_models.serving.bundle import SHIPPED, Bundle, chosen_bundle
from glore_models.serving.errors import ServingError


def test_a_whole_bundle_passes(paper_bundle: Bundle) -> None:
    paper_bundle.check()


def test_every_missing_file_is_named(paper_bundle: Bundle) -> None:
    (paper_bundle.path / "orm" / "adapter_model.safetensors").unlink()
    paper_bundle.head.unlink()
    with pytest.raises(ServingError) as caught:
        paper_bundle.check()
    assert "orm/adapter_model.safetensors, head.safetensors missing" in caught.value.problem
    assert "GLORE_BUNDLE" in caught.value.way_out


@pytest.mark.parametrize(
    ("rank", "allowed"), [(1, 1), (4, 8), (8, 8), (12, 16), (17, 32), (300, 320)]
)
def test_the_rank_is_rounded_up_to_what_vllm_takes(
    paper_bundle: Bundle, rank: int, allowed: int
) -> None:
    config = paper_bundle.adapter("sorm") / "adapter_config.json"
    config.write_text(json.dumps({"r": rank}))
    assert paper_bundle.max_rank(["sorm"]) == allowed


def test_the_largest_rank_of_all_roles_and_patterns_counts(paper_bundle: Bundle) -> None:
    assert paper_bundle.max_rank(["global_refiner", "local_refiner"]) == 16
    config = paper_bundle.adapter("orm") / "adapter_config.json"
    config.write_text(json.dumps({"r": 4, "rank_pattern": {"q_proj": 40}}))
    assert paper_bundle.max_rank(["sorm", "orm"]) == 64


@pytest.mark.parametrize("content", ["{}", "not json", '{"r": 4096}', '{"r": null}', "[]"])
def test_an_unusable_configuration_is_reported(paper_bundle: Bundle, content: str) -> None:
    (paper_bundle.adapter("orm") / "adapter_config.json").write_text(content)
    with pytest.raises(ServingError):
        paper_bundle.max_rank(["sorm", "orm"])


def test_the_bundle_is_chosen_by_the_environment(tmp_path: Path) -> None:
    assert chosen_bundle({}).path == SHIPPED
    assert chosen_bundle({"GLORE_BUNDLE": str(tmp_path)}).path == tmp_path


def test_other_weights_have_another_fingerprint(paper_bundle: Bundle) -> None:
    found = {paper_bundle.fingerprint}
    assert found == {paper_bundle.fingerprint}
    for file in (*paper_bundle.adapter_files("sorm"), paper_bundle.head):
        file.write_bytes(b"other")
        found.add(paper_bundle.fingerprint)
    paper_bundle.thresholds.write_text("{}")  # the gateway knows which are in use
    assert found == {*found, paper_bundle.fingerprint}
    assert len(found) == 4
