"""That there is a picture of a ProcessBench file, and that it shows the scores."""

from pathlib import Path

import pytest

from glore_models.evaluation.paper.bench_curves import draw_bench, shares
from glore_models.evaluation.paper.locating import judge
from glore_models.evaluation.paper.measures import Assessed
from glore_models.evaluation.paper.processbench import Judged
from glore_models.evaluation.steps import Labelled, curve, figures

RIGHT, WRONG = Labelled((1, 1), (0.9, 0.6)), Labelled((1, 0, -1), (0.9, 0.3, 0.9))


def judged(role: str, *solutions: Labelled, threshold: float = 0.5) -> Judged:
    assessed = [Assessed(each.scores, each.labels) for each in solutions]
    return Judged(judge(role, assessed, threshold), 1.0, tuple(curve(solutions)))


def picture(tmp_path: Path, sorm: Judged) -> bytes:
    out = tmp_path / "curves.png"
    draw_bench({"sorm": sorm, "orm": judged("orm", RIGHT, WRONG)}, out)
    assert list(tmp_path.iterdir()) == [out]
    return out.read_bytes()


def test_the_picture_is_a_png_and_shows_scores_and_thresholds(tmp_path: Path) -> None:
    first = picture(tmp_path, judged("sorm", RIGHT, WRONG))
    assert first.startswith(b"\x89PNG")
    assert picture(tmp_path, judged("sorm", RIGHT, WRONG)) == first
    assert picture(tmp_path, judged("sorm", RIGHT, RIGHT, WRONG, threshold=0.7)) != first
    assert picture(tmp_path, judged("sorm", RIGHT, Labelled((1, 0), (0.9, 0.8)))) != first


def test_the_lines_are_shares() -> None:
    late = Labelled((0, -1), (0.9, 0.1))
    assert shares(figures([RIGHT, WRONG, late], 0.5)) == pytest.approx((2 / 3, 1.0, 0.5))
    assert shares(figures([RIGHT], 0.5)) == (0.0, 1.0, 0.0)
