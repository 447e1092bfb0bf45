"""Rows of the phases, joined to what a record holds. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from glore.formats.answers import parse_answer
from glore.formats.steps import prefix_before, split_steps
from glore_models.data.labels import BAD, GOOD, make_consistent
from glore_models.data.rollouts import PrefixRollouts, is_right
from glore_models.evaluation.paper.phases import Generated, Scored
from glore_models.evaluation.paper.records import Record, Refined, Scores, Written


def ranked(record: Record) -> list[Written]:
    """The draft first, then every other solution that a scorer ranks."""
    others = (record.global_refinement, record.local("sorm"))
    return [record.draft, *record.samples, *(written for written in others if written)]


def whole_solutions(row: Generated, answer: str) -> tuple[Written, ...]:
    """Completions that are whole solutions, without white space around them."""
    texts = [text.strip() for text in row.texts]
    return tuple(
        Written(text, parse_answer(text), is_right(text, answer), tokens, seconds)
        for text, tokens, seconds in zip(texts, row.tokens, row.seconds, strict=True)
    )


def continued(record: Record, place: int, row: Generated) -> Refined | None:
    """The draft's text before step `place`, byte for byte, and what was written after it."""
    completion = row.texts[0].strip()
    if not completion:
        return None
    text = prefix_before(record.draft.text, place) + completion
    right = is_right(text, record.answer)
    written = Written(text, parse_answer(text), right, row.tokens[0], row.seconds[0])
    return Refined(place, written)


def step_labels(record: Record, rows: Mapping[tuple[str, int], PrefixRollouts]) -> tuple[int, ...]:
    """1 or 0 per step: whether the right answer was ever reached from there on."""
    steps = len(split_steps(record.draft.text))
    if record.draft.right:
        return (GOOD,) * steps
    reached = [any(rows[record.problem, kept].right) for kept in range(1, steps)]
    return make_consistent((*(GOOD if good else BAD for good in reached), BAD))


def with_scores(record: Record, role: str, rows: Mapping[tuple[str, str], Scored]) -> Record:
    """The record with what "sorm" or "orm" says of the draft and of all that is ranked."""

    def scored(written: Written) -> Written:
        row = rows.get((record.problem, written.text))
        if row is None:
            return written
        found = Scores(row.scores, row.seconds)
        return replace(written, sorm=found) if role == "sorm" else replace(written, orm=found)

    whole, local = record.global_refinement, record.local_sorm
    return replace(
        record,
        draft=scored(record.draft),
        samples=tuple(map(scored, record.samples)),
        global_refinement=scored(whole) if whole else None,
        local_sorm=replace(local, written=scored(local.written)) if local else None,
    )


def with_compared(record: Record, role: str, rows: Mapping[tuple[str, str], Scored]) -> Record:
    """The record with what a scorer that is compared says of the draft, if it has said it."""
    row = rows.get((record.problem, record.draft.text))
    if row is None:
        return record
    return replace(record, compared={**record.compared, role: Scores(row.scores, row.seconds)})
