"""The simulated engine classifies in the shape of the real one."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from loadtest.simulation.server import running as simulated
from loadtest.simulation.settings import Simulated

from .servers import PATIENCE, TinyServer, sequence_classifier
from .test_simulator_shapes import shape_of

TURNS = [
    {"role": "user", "content": "Tom has 3 boxes with 12 pens each. How many pens has he?"},
    {"role": "assistant", "content": "1 + 2 = 3\n#### 3"},
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyServer]:
    with sequence_classifier(tmp_path_factory) as one:
        yield one


@pytest.mark.parametrize(
    "body",
    [
        {"messages": TURNS},
        {"messages": TURNS, "use_activation": False},
        {"messages": TURNS, "model": "nobody"},
    ],
)
async def test_a_classified_text_has_the_shape_of_vllms(
    server: TinyServer, body: dict[str, Any]
) -> None:
    async with simulated(Simulated()) as (_, url), httpx2.AsyncClient(timeout=PATIENCE) as client:
        real, ours = [
            await client.post(f"{each}/classify", json={"model": "orm", **body})
            for each in (server.url, url)
        ]
    assert ours.status_code == real.status_code
    assert ours.headers["content-type"] == real.headers["content-type"]
    assert shape_of(ours.json()) == shape_of(real.json())
    theirs, values = (answer.json().get("data", [{}])[0] for answer in (real, ours))
    assert values.get("num_classes") == theirs.get("num_classes")
    assert values.get("label") == theirs.get("label")
