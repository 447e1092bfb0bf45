"""Tables B and C: who mends what, and who spoils what."""

from hypothesis import given
from hypothesis import strategies as st

from glore_models.evaluation.paper.records import CRITIQUES, Record
from glore_models.evaluation.paper.table_bc import ALL, LABELLED, FixedDrafts, table_b, table_c
from tests.models.evaluation.paper.builders import RECORDS, RIGHT, WRONG, record

BAD = (0, 0)


def row(rows: tuple[FixedDrafts, ...], over: str, critique: str) -> FixedDrafts:
    return next(row for row in rows if (row.over, row.critique) == (over, critique))


def test_wrong_drafts_are_counted_by_who_mends_them() -> None:
    rows = table_b(
        [
            record(RIGHT, whole=RIGHT),  # not a wrong draft
            record(whole=RIGHT, sorm=WRONG, orm=RIGHT),
            record(whole=WRONG, sorm=RIGHT),
            record(whole=RIGHT, sorm=RIGHT, oracle=RIGHT, labels=BAD),
            record(whole=WRONG, oracle=RIGHT, labels=BAD),
        ]
    )
    sorm = row(rows, ALL, "sorm")
    assert (sorm.drafts, sorm.refined) == (4, 3)
    assert (sorm.only_global, sorm.only_local, sorm.both, sorm.neither) == (1, 1, 1, 1)
    assert (sorm.by_global, sorm.by_local, sorm.by_either) == (2, 2, 3)
    oracle = row(rows, LABELLED, "oracle")
    assert (oracle.drafts, oracle.by_global, oracle.by_local, oracle.both) == (2, 1, 2, 1)
    assert row(rows, LABELLED, "sorm").drafts == 2
    assert [(r.over, r.critique) for r in rows].count((ALL, "oracle")) == 0


@given(st.lists(RECORDS, max_size=6))
def test_the_counts_partition_the_wrong_drafts(records: list[Record]) -> None:
    for found in table_b(records):
        wrong = [r for r in records if not r.draft.right and (found.over == ALL or r.labels)]
        parts = (found.only_global, found.only_local, found.both, found.neither)
        assert sum(parts) == found.drafts == len(wrong)
        assert max(found.by_global, found.by_local) <= found.by_either <= found.drafts
        assert found.by_local <= found.refined <= found.drafts


def test_replacing_every_draft_without_looking() -> None:
    rows = table_c(
        [
            record(RIGHT, whole=WRONG, sorm=WRONG),
            record(RIGHT, whole=RIGHT),  # no local refinement: the draft stays
            record(WRONG, whole=RIGHT, orm=RIGHT),
            record(WRONG, oracle=RIGHT, labels=BAD),
        ]
    )
    by_name = {(r.over, r.refinement): r for r in rows}
    whole = by_name[ALL, "global"]
    assert (whole.drafts, whole.replaced, whole.right_before) == (4, 3, 2)
    assert (whole.wrong_to_right, whole.right_to_wrong, whole.right_after) == (1, 1, 2)
    assert whole.p == 1.0
    sorm, orm = by_name[ALL, "local, sorm"], by_name[ALL, "local, orm"]
    assert (sorm.replaced, sorm.wrong_to_right, sorm.right_to_wrong) == (1, 0, 1)
    assert (orm.replaced, orm.wrong_to_right, orm.right_after) == (1, 1, 3)
    oracle = by_name[LABELLED, "local, oracle"]
    assert (oracle.drafts, oracle.right_before, oracle.right_after) == (1, 0, 1)


@given(st.lists(RECORDS, max_size=6))
def test_after_replacing_as_many_are_right_as_there_are(records: list[Record]) -> None:
    rows = [row for row in table_c(records) if row.over == ALL]
    assert len(rows) == len(CRITIQUES)
    expected = sum((r.global_refinement or r.draft).right for r in records)
    assert rows[0].right_after == expected
    for found in rows:
        assert 0 <= found.right_after <= found.drafts == len(records)
        assert found.wrong_to_right + found.right_to_wrong <= found.replaced


def test_what_mends_is_the_same_in_both_tables() -> None:
    records = [record(whole=RIGHT, sorm=RIGHT), record(RIGHT, whole=WRONG), record()]
    changes = {r.refinement: r for r in table_c(records) if r.over == ALL}
    fixed = row(table_b(records), ALL, "sorm")
    assert changes["global"].wrong_to_right == fixed.by_global
    assert changes["local, sorm"].wrong_to_right == fixed.by_local
