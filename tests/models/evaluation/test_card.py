"""The card of an evaluation of the service."""

import json
from datetime import UTC, datetime, timedelta

from glore_models.evaluation.card import as_card
from glore_models.evaluation.spent import Spent
from glore_models.evaluation.table import Row

SETTINGS = {"source": "easy", "seed": 7, "strategies": ["draft", "glore"], "deadline": 120.0}
STARTED = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_card_has_configuration_seed_counts_time_and_tokens() -> None:
    rows = [
        Row("glore", 10, 6, 2, 1, 100.0, 2.5),
        Row("draft", 10, 5, 10, 0, None, None, derived_from="glore"),
    ]
    text = as_card(
        SETTINGS,
        rows,
        Spent(4530.0, 40, 12_345, 6_789),
        command="glore eval",
        n=10,
        started=STARTED,
        finished=STARTED + timedelta(minutes=3),
        plot="![a picture](curves.png)",
    )
    assert "`glore eval`" in text
    assert "10 problems of easy, seed 7." in text
    assert "75.5 minutes over all attempts" in text
    assert "the last one from 2026-01-01T12:00:00+00:00 to 2026-01-01T12:03:00+00:00." in text
    assert "6,789 tokens generated and 12,345 read,\nin 40 engine calls" in text
    assert "\n\n![a picture](curves.png)\n\n" in text
    assert "| glore | 10 | 8 | 2 | 1 | 6 | 800 | 20 |" in text
    assert "| draft | 10 (read from glore) | 0 | 10 | 0 | 5 | - | - |" in text
    assert json.loads(text.partition("```json\n")[2].removesuffix("```\n")) == SETTINGS
