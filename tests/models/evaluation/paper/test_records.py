import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore_models.data.files import write_jsonl
from glore_models.evaluation.paper.records import (
    Record,
    RecordError,
    TimedStepScores,
    named_error,
    read_records,
    record_of,
    true_error,
)
from tests.models.evaluation.paper.builders import RECORDS, RIGHT, WRONG, record


@given(RECORDS)
def test_a_record_is_the_same_after_json(original: Record) -> None:
    assert record_of(json.loads(json.dumps(asdict(original), ensure_ascii=False))) == original


@given(st.lists(RECORDS, max_size=3))
def test_a_file_of_records_is_the_same_when_read(
    tmp_path_factory: pytest.TempPathFactory, originals: list[Record]
) -> None:
    path = tmp_path_factory.mktemp("records") / "ei" / "easy.jsonl"
    write_jsonl(path, originals)
    assert list(read_records(path)) == originals


def test_records_from_before_scorers_were_compared_are_read() -> None:
    row = asdict(record(RIGHT))
    del row["compared"], row["source"]
    assert record_of(row) == record(RIGHT, source="")


def test_only_a_question_of_gsm_symbolic_has_a_template() -> None:
    assert record(source="gsm_symbolic/3").template == "gsm_symbolic/3"
    assert record(source="train").template is None
    assert record(source="").template is None


def test_a_line_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "easy.jsonl"
    write_jsonl(path, [record()])
    with path.open("a", encoding="utf-8") as file:
        file.write('{"set": "easy"}\n')
    with pytest.raises(RecordError, match=r"easy\.jsonl:2 is not a record"):
        list(read_records(path))


def test_the_local_refinement_of_each_critique() -> None:
    one = record(sorm=RIGHT, oracle=WRONG)
    assert (one.local("sorm"), one.local("orm"), one.local("oracle")) == (RIGHT, None, WRONG)


def test_first_errors() -> None:
    assert true_error((1, 0, 0)) == 1
    assert true_error((1, 1)) is None
    assert true_error(None) is None
    assert named_error(TimedStepScores((0.9, 0.2), 0.0), 0.5) == 1
    assert named_error(TimedStepScores((0.9, 0.5), 0.0), 0.5) is None
    assert named_error(None, 0.5) is None
