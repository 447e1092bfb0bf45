"""Whether a server fits a family, on servers that do and do not."""

import pytest

from glore.engines import fitness
from glore.engines.exchange import EngineHTTPError
from glore.engines.readiness import EngineState, EngineStatus, VllmProbe
from glore.engines.vllm import VllmEngine
from glore.formats.likelihood import LikelihoodScores
from glore.formats.math_shepherd import MathShepherdScores
from glore.formats.qwen_prm import QwenPrmScores
from glore.formats.scores import SORM_COLUMN, NewlineScores, ScoreFormat
from glore.formats.sequence_scores import SequenceScores
from tests.service.engines.fake_vllm import FakeVllm, classification, completion, echoed, pooling

LIMIT_S = 30.0
STEPS = len(fitness.STEPS)


def tokenizes(server: FakeVllm, *tokens: str) -> None:
    ids = {token: index for index, token in enumerate(dict.fromkeys(tokens), 100)}
    answer = {"count": len(tokens), "max_model_len": 9, "tokens": [ids[t] for t in tokens]}
    server.gives("/tokenize", answer | {"token_strs": tokens})


FAMILIES: list[tuple[ScoreFormat, int, list[float]]] = [
    (QwenPrmScores(), STEPS, [0.0, 1.0]),
    (MathShepherdScores(), STEPS, [0.5]),
    (NewlineScores(SORM_COLUMN), STEPS + 2, [0.5, 0.5]),
]


@pytest.mark.parametrize(("scores", "wanted", "row"), FAMILIES)
async def test_a_server_that_fits(
    server: FakeVllm, engine: VllmEngine, scores: ScoreFormat, wanted: int, row: list[float]
) -> None:
    tokenizes(server, *["a", scores.separator] * wanted)
    server.gives("/pooling", pooling([row] * wanted))
    assert await fitness.stepwise(engine, "prm", scores)(LIMIT_S) is None
    text = scores.encode(fitness.QUESTION, fitness.STEPS)
    tokenized, pooled = server.bodies
    assert tokenized == {"model": "prm", "prompt": text, "return_token_strs": True}
    assert pooled["input"] == [text]
    assert pooled.get("use_activation", True) is not scores.raw


@pytest.mark.parametrize(("scores", "wanted", "row"), FAMILIES)
async def test_a_tokenizer_that_merges_or_splits_the_separator_is_reported(
    server: FakeVllm, engine: VllmEngine, scores: ScoreFormat, wanted: int, row: list[float]
) -> None:
    merged = f".{scores.separator}"
    tokenizes(server, *["a", scores.separator] * (wanted - 1), merged)
    server.gives("/pooling", pooling([row] * wanted))
    problem = await fitness.stepwise(engine, "prm", scores)(LIMIT_S)
    assert problem is not None
    assert "prm merges or splits the separator" in problem
    assert repr(scores.separator) in problem
    assert f"{wanted - 1} of {wanted}" in problem


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([[0.0, 1.0]] * 9, "9 scores for 3 steps"),
        ([], "0 scores for 3 steps"),
        ([[0.0]] * 3, "the family has 2"),
    ],
)
async def test_a_server_that_scores_elsewhere_is_reported_with_the_flag(
    server: FakeVllm, engine: VllmEngine, rows: list[list[float]], what: str
) -> None:
    tokenizes(server, *["a", "<extra_0>"] * 3)
    server.gives("/pooling", pooling(rows))
    problem = await fitness.stepwise(engine, "prm", QwenPrmScores())(LIMIT_S)
    assert problem is not None
    assert what in problem
    assert '"step_tag_id": 101' in problem


async def test_a_reward_model_fits_and_one_with_two_labels_does_not(
    server: FakeVllm, engine: VllmEngine
) -> None:
    check = fitness.sequence(engine, "orm", SequenceScores())
    server.gives("/classify", classification(0.3))
    assert await check(LIMIT_S) is None
    server.gives("/classify", classification(0.3, 0.7))
    problem = await check(LIMIT_S)
    assert problem is not None
    assert "no reward model with one label: a row of 2 values" in problem


async def test_a_server_that_echoes_log_probabilities_fits_and_another_does_not(
    server: FakeVllm, engine: VllmEngine
) -> None:
    check = fitness.likelihood(engine, "orm", LikelihoodScores())
    server.gives("/v1/completions", echoed([(0, -1.0), (500, -1.0)]))
    assert await check(LIMIT_S) is None
    server.gives("/v1/completions", completion("text"))
    assert "the server of orm does not echo a text" in str(await check(LIMIT_S))


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("<|im_start|>assistant\n3 x 12 = 36 pens.\n", True),
        ("<|im_start|>assistant\n3 x 12 = 36 pens.", True),  # templates may trim
        ("<|im_start|>assistant\n3 x 12 = 36 pens.\n<|im_end|>\n", False),
    ],
)
async def test_a_begun_turn_has_to_stay_open(
    server: FakeVllm, engine: VllmEngine, text: str, *, fits: bool
) -> None:
    tokenizes(server, "a", "b")
    server.gives("/detokenize", {"prompt": text})
    problem = await fitness.chat(engine, "writer")(LIMIT_S)
    assert (problem is None) is fits
    assert fits or "the chat template of writer" in str(problem)
    assert server.bodies[0]["continue_final_message"] is True
    assert server.bodies[1] == {"model": "writer", "tokens": [100, 101]}


@pytest.mark.parametrize("status", [400, 404])
async def test_a_server_that_refuses_serves_another_kind_of_model(
    server: FakeVllm, engine: VllmEngine, status: int
) -> None:
    for path in ("/tokenize", "/classify", "/v1/completions"):
        server.sends(path, b"{}", status)
    for check in (
        fitness.chat(engine, "m"),
        fitness.stepwise(engine, "m", QwenPrmScores()),
        fitness.sequence(engine, "m", SequenceScores()),
        fitness.likelihood(engine, "m", LikelihoodScores()),
    ):
        assert f"refuses what its family asks (HTTP {status})" in str(await check(LIMIT_S))


async def test_a_server_that_fails_is_no_misfit(server: FakeVllm, engine: VllmEngine) -> None:
    server.sends("/tokenize", b"", 500)
    with pytest.raises(EngineHTTPError) as caught:
        await fitness.chat(engine, "m")(LIMIT_S)
    assert caught.value.reason == "failed"


async def test_a_probe_asks_for_fitness_once_for_each_time_the_engine_comes_up(
    server: FakeVllm, engine: VllmEngine
) -> None:
    requested = 0

    async def check(_timeout: float) -> str | None:
        nonlocal requested
        requested += 1
        return "too small" if requested == 1 else None

    server.sends("/health", b"")
    server.gives("/v1/models", {"data": [{"id": "sorm"}]})
    probe = VllmProbe(engine, ["sorm"], LIMIT_S, [check])
    assert await probe.check() == EngineStatus(EngineState.MISFIT, problem="too small")
    assert await probe.check() == EngineStatus(EngineState.READY)
    assert await probe.check() == EngineStatus(EngineState.READY)
    assert requested == 2
    server.sends("/health", b"", 503)
    assert (await probe.check()).state is EngineState.STARTING
    server.sends("/health", b"")
    assert (await probe.check()).state is EngineState.READY
    assert requested == 3


async def test_an_engine_that_fails_a_check_is_what_it_is(
    server: FakeVllm, engine: VllmEngine
) -> None:
    server.sends("/health", b"")
    server.gives("/v1/models", {"data": [{"id": "m"}]})
    server.sends("/tokenize", b"", 500)
    probe = VllmProbe(engine, ["m"], LIMIT_S, [fitness.chat(engine, "m")])
    assert (await probe.check()).state is EngineState.FAILED
