"""What an evaluation has taken."""

from pathlib import Path

from glore_client import SolveResult
from glore_models.evaluation.journal import Entry, open_journal
from glore_models.evaluation.spent import Spent, spent
from tests.clients.python import samples

RESULT = SolveResult.model_validate(samples.result())


def test_every_answer_counts_once_and_every_attempt_takes_its_time(tmp_path: Path) -> None:
    times = iter([0.0, 1.0, 2.0, 100.0, 104.0, 105.0])
    with open_journal(tmp_path / "responses.jsonl", lambda: next(times)) as journal:
        journal.add(Entry("p1", "glore", None, "GatewayTimeout: 504"))
        journal.add(Entry("p2", "glore", RESULT))
    with open_journal(tmp_path / "responses.jsonl", lambda: next(times)) as journal:
        journal.add(Entry("p1", "glore", RESULT))
        used = RESULT.usage
        assert spent(journal) == Spent(
            2.0 + 5.0, 2 * used.engine_calls, 2 * used.prompt_tokens, 2 * used.generated_tokens
        )
