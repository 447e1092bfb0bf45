"""Step figures counted by hand."""

from glore_models.evaluation.steps import Labelled, best_threshold, curve, figures

SOLUTIONS = [
    Labelled(labels=(1, 1, 1), scores=(0.9, 0.8, 0.7)),  # right, left alone
    Labelled(labels=(1, 1), scores=(0.9, 0.3)),  # right, accused
    Labelled(labels=(1, 0, 0), scores=(0.9, 0.2, 0.1)),  # found exactly
    Labelled(labels=(1, 0), scores=(0.4, 0.2)),  # named too early
    Labelled(labels=(0, 0), scores=(0.6, 0.1)),  # named too late
    Labelled(labels=(0,), scores=(0.7,)),  # not named at all
]


def test_every_solution_is_counted_once() -> None:
    at = figures(SOLUTIONS, 0.5)
    assert (at.right_solutions, at.clean) == (2, 1)
    assert (at.wrong_solutions, at.exact, at.early, at.late) == (4, 1, 1, 2)
    assert (at.steps, at.steps_right) == (13, 9)
    assert at.f1 == 2 * 0.25 * 0.5 / 0.75


def test_f1_is_zero_without_one_of_the_classes() -> None:
    assert figures(SOLUTIONS[:2], 0.5).f1 == 0.0
    assert figures(SOLUTIONS[2:], 0.5).f1 == 0.0
    assert figures([], 0.5).f1 == 0.0


def test_the_best_threshold_has_the_highest_f1_of_the_curve() -> None:
    best = best_threshold(SOLUTIONS)
    assert figures(SOLUTIONS, best).f1 == max(point.f1 for point in curve(SOLUTIONS))


def test_a_score_at_the_threshold_is_not_an_error() -> None:
    assert figures([Labelled((1,), (0.5,))], 0.5).clean == 1
