"""The card of the bundle is what today's code writes of the kept run's counts."""

from collections import Counter
from pathlib import Path

from glore_models.recipes.card import card
from glore_models.recipes.catalog import paper_gpu
from glore_models.recipes.run import Run
from glore_models.recipes.sampling import tier_problems
from glore_models.serving.bundle import SHIPPED

MODELS = Path(__file__).parents[3] / "models"
KEPT = Run(MODELS / "kept" / "paper_gpu")


def test_the_bundles_card_has_every_count_that_is_stored() -> None:
    counts = KEPT.counts()
    created = card(paper_gpu(), counts, KEPT.seconds()).partition("The whole configuration")[0]
    rows = {line for line in created.splitlines() if line.startswith("| ")}
    assert len(rows) > 2 * len(counts["steps"]) + 15
    assert rows <= set((SHIPPED / "CARD.md").read_text().splitlines())


def test_the_stored_run_tells_what_the_filters_of_its_problems_took_out() -> None:
    counts, counted = KEPT.counts(), Counter[str]()
    problems = tier_problems(paper_gpu().validation, "validation", counted=counted)
    assert counts["validation"].items() >= {**counted, "problems": len(problems)}.items()
    for stage in ("ei_1_samples", "samples", "validation", "test"):
        of = counts[stage]
        assert of["problems"] == of["easy_taken"] + of["all_taken"] - of["known"]
        for tier in ("easy", "all"):
            own = {key: n for key, n in of.items() if key.startswith(f"{tier}_")}
            assert own.pop(f"{tier}_candidates") == sum(own.values())
