"""Problems, tiers and the split by text."""

from hypothesis import given
from hypothesis import strategies as st

from glore_models.data.problems import is_easy, largest_number, make_problem, split_of


def test_calculator_marks_go_and_the_answer_is_read() -> None:
    problem = make_problem(
        id_="1", question=" How\nmany? ", solution="48/2 = <<48/2=24>>24\n\n#### 1,024", source="s"
    )
    assert problem is not None
    assert problem.question == "How many?"
    assert problem.solution == "48/2 = 24\n#### 1,024"
    assert problem.answer == "1024"
    assert largest_number(problem) == 1024
    assert not is_easy(problem)


def test_a_solution_without_an_answer_is_no_problem() -> None:
    assert make_problem(id_="1", question="q", solution="48/2 = 24", source="s") is None


def test_the_easy_tier_has_small_numbers_few_steps_and_a_whole_answer() -> None:
    def easy(solution: str) -> bool:
        problem = make_problem(id_="1", question="q", solution=solution, source="s")
        return problem is not None and is_easy(problem)

    assert easy("1\n2\n3\n4\n#### 60")
    assert not easy("1\n2\n3\n4\n5\n#### 60")
    assert not easy("#### 61")
    assert not easy("#### 2.5")


@given(st.text())
def test_the_split_does_not_depend_on_case_or_white_space(question: str) -> None:
    assert split_of(question) == split_of(f"  {question}\n") == split_of(" ".join(question.split()))


def test_the_splits_have_the_stated_shares() -> None:
    splits = [split_of(f"question {i}") for i in range(3000)]
    assert 0.08 < splits.count("test") / 3000 < 0.12
    assert 0.08 < splits.count("validation") / 3000 < 0.12
