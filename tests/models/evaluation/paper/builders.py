"""Records made by hand and by hypothesis."""

from hypothesis import strategies as st

from glore_models.data.run_folder import Thresholds
from glore_models.evaluation.paper.records import LocalRefinement, Record, Solution, TimedStepScores

THRESHOLDS = Thresholds(first_error=0.5, orm_first_error=0.4, gate=0.6)


def written(
    *,
    right: bool,
    orm: tuple[float, ...] = (0.5,),
    sorm: tuple[float, ...] = (0.5,),
    tokens: int = 10,
    seconds: float = 1.0,
    answer: str | None = None,
) -> Solution:
    """A solution of the question whose answer is 7."""
    stated = answer or ("7" if right else "8")
    scores = (TimedStepScores(sorm, 0.25), TimedStepScores(orm, 0.125))
    return Solution(f"3 + 4\n#### {stated}", stated, right, tokens, seconds, *scores)


WRONG, RIGHT = written(right=False), written(right=True)


def record(
    draft: Solution = WRONG,
    *,
    samples: tuple[Solution, ...] = (WRONG, WRONG, WRONG),
    whole: Solution | None = None,
    sorm: Solution | None = None,
    orm: Solution | None = None,
    oracle: Solution | None = None,
    labels: tuple[int, ...] | None = None,
    set_: str = "easy",
    student: str = "ei",
    source: str = "gsm_symbolic/3",
) -> Record:
    """A record; every local refinement starts at the draft's first step."""

    def refined(solution: Solution | None) -> LocalRefinement | None:
        return None if solution is None else LocalRefinement(0, solution)

    return Record(
        set=set_,
        student=student,
        problem="p1",
        question="What is 3 + 4?",
        answer="7",
        draft=draft,
        samples=samples,
        global_refinement=whole,
        local_sorm=refined(sorm),
        local_orm=refined(orm),
        local_oracle=refined(oracle),
        labels=labels,
        source=source,
    )


_shares = st.floats(0, 1)
_steps = st.lists(_shares, max_size=4).map(tuple)
_scores = st.none() | st.builds(TimedStepScores, _steps, st.floats(0, 100))


@st.composite
def solutions(draw: st.DrawFn) -> Solution:
    """Any solution; a right one states 7."""
    right = draw(st.booleans())
    return Solution(
        text=draw(st.text()),
        answer="7" if right else draw(st.none() | st.sampled_from(["8", "9"])),
        right=right,
        tokens=draw(st.integers(0, 500)),
        seconds=draw(st.floats(0, 100)),
        sorm=draw(_scores),
        orm=draw(_scores),
    )


_refined = st.none() | st.builds(LocalRefinement, st.integers(0, 9), solutions())
RECORDS: st.SearchStrategy[Record] = st.builds(
    Record,
    set=st.sampled_from(["easy", "gsm8k"]),
    student=st.sampled_from(["sft", "ei"]),
    problem=st.text(),
    question=st.text(),
    answer=st.just("7"),
    draft=solutions(),
    samples=st.lists(solutions(), min_size=3, max_size=3).map(tuple),
    global_refinement=st.none() | solutions(),
    local_sorm=_refined,
    local_orm=_refined,
    local_oracle=_refined,
    labels=st.none() | st.lists(st.sampled_from([0, 1]), max_size=4).map(tuple),
    compared=st.dictionaries(
        st.just("orm_matched"), st.builds(TimedStepScores, _steps, st.floats(0, 100)), max_size=1
    ),
    source=st.sampled_from(["", "train", "gsm_symbolic/3", "gsm_symbolic/4"]),
)
