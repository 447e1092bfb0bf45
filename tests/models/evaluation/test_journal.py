import gzip
import json
from pathlib import Path

import pytest

from glore_client import SolveResult
from glore_models.evaluation.journal import Entry, JournalError, TotalUsage, open_journal, usage_of
from tests.clients.python import samples

RESULT = SolveResult.model_validate(samples.result())


def test_what_is_added_is_there_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "run" / "responses.jsonl"
    with open_journal(path) as journal:
        journal.add(Entry("p1", "glore", RESULT))
        journal.add(Entry("p2", "glore", None, "GatewayTimeout: 504"))
    with open_journal(path) as journal:
        assert journal.answered("p1", "glore")
        assert not journal.answered("p1", "draft")
        assert not journal.answered("p2", "glore")
        assert journal.entries["p1", "glore"].result == RESULT
        assert journal.entries["p2", "glore"].failure == "GatewayTimeout: 504"


def test_the_time_goes_on_where_the_last_line_was(tmp_path: Path) -> None:
    path = tmp_path / "responses.jsonl"
    path.write_text('{"problem": "p0", "strategy": "glore", "failure": "old"}\n', encoding="utf-8")
    times = iter([100.0, 107.5, 1000.0, 1002.0, 1003.0])
    with open_journal(path, lambda: next(times)) as journal:
        journal.add(Entry("p1", "glore", RESULT))
    with open_journal(path, lambda: next(times)) as journal:
        assert journal.seconds == 7.5 + 2.0
        journal.add(Entry("p2", "glore", None, "GatewayTimeout: 504"))
        assert list(journal.results) == [RESULT]
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[-1])["spent"] == 7.5 + 3.0


def test_the_last_line_of_a_question_counts(tmp_path: Path) -> None:
    path = tmp_path / "responses.jsonl"
    with open_journal(path) as journal:
        journal.add(Entry("p1", "glore", None, "APITimeoutError: no answer"))
        journal.add(Entry("p1", "glore", RESULT))
    with open_journal(path) as journal:
        assert journal.answered("p1", "glore")


def test_a_line_that_a_kill_cut_off_is_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "responses.jsonl"
    with open_journal(path) as journal:
        journal.add(Entry("p1", "glore", RESULT))
    with path.open("a", encoding="utf-8") as file:
        file.write('{"problem": "p2", "strat')
    with open_journal(path) as journal:
        assert list(journal.entries) == [("p1", "glore")]
        journal.add(Entry("p2", "glore", RESULT))
    with open_journal(path) as journal:
        assert journal.answered("p2", "glore")


def test_a_question_may_hold_any_line_separator(tmp_path: Path) -> None:
    path = tmp_path / "responses.jsonl"
    odd = RESULT.model_copy(update={"solution": "one\u2028two\x85three"})
    with open_journal(path) as journal:
        journal.add(Entry("p1", "glore", odd))
    with open_journal(path) as journal:
        assert journal.entries["p1", "glore"].result == odd


WRONG = [
    *(b"hello", b"[]", b"3", b"null", b'{"problem": "p1"}', b'{"result": {}}', b"\x00", b"caf\xe9"),
    *(b"[" * 100_000, b'{"problem":' * 100_000, gzip.compress(b"{}" * 99).replace(b"\n", b"")),
    b'{"problem": "p", "strategy": "draft", "failure": "f", "spent": 1' + b"0" * 400 + b"}",
    *(
        b'{"problem": "p", "strategy": "draft", "failure": "f", "spent": %s}' % spent
        for spent in (b"NaN", b"Infinity", b"null", b'"soon"', b"[]")
    ),
]


@pytest.mark.parametrize("line", WRONG, ids=[str(index) for index, _ in enumerate(WRONG)])
def test_a_file_of_something_else_is_refused_and_stays_as_it_is(
    tmp_path: Path, line: bytes
) -> None:
    path = tmp_path / "responses.jsonl"
    for content, text in ((line + b"\n", r"responses\.jsonl:1 is not"), (line, r"is not|does not")):
        path.write_bytes(content)
        if content.startswith(b'{"problem": ') and not content.endswith(b"\n"):
            continue  # a line of a journal that a kill cut off begins so
        with pytest.raises(JournalError, match=text), open_journal(path):
            pass
        assert path.read_bytes() == content


def test_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "responses.jsonl"
    with open_journal(path) as journal:
        journal.add(Entry("p1", "glore", RESULT))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    with open_journal(path) as journal:
        assert journal.answered("p1", "glore")


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "responses.jsonl"
    with (
        open_journal(path),
        pytest.raises(JournalError, match="another run"),
        open_journal(path),
    ):
        pass


def test_every_answer_counts_once_and_every_attempt_takes_its_time(tmp_path: Path) -> None:
    times = iter([0.0, 1.0, 2.0, 100.0, 104.0, 105.0])
    with open_journal(tmp_path / "responses.jsonl", lambda: next(times)) as journal:
        journal.add(Entry("p1", "glore", None, "GatewayTimeout: 504"))
        journal.add(Entry("p2", "glore", RESULT))
    with open_journal(tmp_path / "responses.jsonl", lambda: next(times)) as journal:
        journal.add(Entry("p1", "glore", RESULT))
        used = RESULT.usage
        assert usage_of(journal) == TotalUsage(
            2.0 + 5.0, 2 * used.engine_calls, 2 * used.prompt_tokens, 2 * used.generated_tokens
        )
