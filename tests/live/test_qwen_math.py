"""The families of the preset `qwen-math` on real vLLM: a chat model and Qwen2.5-Math-PRM.

Both models are tiny and random, so nothing here is about how well they do; what is shown is that
the prompts arrive whole and that the scores are those of the architecture.
"""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import torch
from pydantic import AnyHttpUrl
from safetensors.torch import load_file
from transformers import AutoConfig, AutoTokenizer, Qwen2Config, Qwen2Model

from glore.app import connect_vllm, create_app
from glore.engines import fitness
from glore.engines.generating import conversation
from glore.engines.ports import Lease
from glore.engines.scoring import VllmStepScorer
from glore.engines.vllm import open_engine
from glore.formats.chat import ChatPrompts
from glore.formats.qwen_prm import SEPARATOR, QwenPrmScores
from glore.formats.scores import SORM_COLUMN, NewlineScores
from glore.formats.steps import split_steps
from glore.refinement.calls import StageRunner
from glore.refinement.types import (
    Budget,
    Candidate,
    CandidateKind,
    Job,
    Refined,
    RefineLocally,
    Sampling,
    State,
    Strategy,
)
from glore.role_settings import EngineSettings, Families, ModelNames
from glore.settings import Settings
from glore.startup import version
from glore_models.serving.presets import step_pooling

from . import tiny
from .servers import PATIENCE, TinyServer, running, tiny_server

QUESTION = "Tom has 3 boxes with 12 pens each. He gives away 7 pens. How many pens are left?"
STEPS = ("3 x 12 = 36 pens.", "Then 36 - 7 = 28.", "So there are 28 pens left.", "#### 28")
DRAFT = "\n".join(STEPS)


@pytest.fixture(scope="module")
def prm(tmp_path_factory: pytest.TempPathFactory) -> TinyServer:
    folder = tmp_path_factory.mktemp("prm")
    tiny.save_qwen_prm(folder)
    tag = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids(SEPARATOR)
    return tiny_server("sorm", folder, *step_pooling(tag))


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> TinyServer:
    folder = tmp_path_factory.mktemp("chat")
    tiny.save_chat(folder)
    return tiny_server("generation", folder)


@pytest.fixture(scope="module", autouse=True)
def _servers(
    prm: TinyServer, writer: TinyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    with running(tmp_path_factory.mktemp("logs"), prm, writer):
        yield


def in_transformers(folder: Path, text: str) -> list[float]:
    """The probability of the second label at each separator, from Qwen2's own trunk."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = Qwen2Config.from_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    trunk = Qwen2Model(config).eval()
    prefix = "model."
    own = {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}
    trunk.load_state_dict(own)
    ids = tokenizer(text, return_tensors="pt").input_ids
    with torch.no_grad():
        hidden = trunk(ids).last_hidden_state[0]
        inner = torch.relu(hidden @ weights["score.0.weight"].T + weights["score.0.bias"])
        logits = inner @ weights["score.2.weight"].T + weights["score.2.bias"]
    at_tags = ids[0] == tokenizer.convert_tokens_to_ids(SEPARATOR)
    scores: list[float] = torch.softmax(logits, -1)[at_tags, 1].tolist()
    return scores


@pytest.mark.parametrize("count", [1, 2, 4])
async def test_step_scores_are_those_of_the_architecture(prm: TinyServer, count: int) -> None:
    async with open_engine(prm.url, api_key=None, timeout=PATIENCE) as engine:
        scorer = VllmStepScorer(engine, prm.name, QwenPrmScores())
        scores = await scorer.score_steps(QUESTION, STEPS[:count], lease=Lease(PATIENCE))
    expected = in_transformers(prm.checkpoint, QwenPrmScores().encode(QUESTION, STEPS[:count]))
    assert len(scores.values) == count
    assert scores.values == pytest.approx(expected, abs=1e-3)
    assert count == 1 or max(expected) - min(expected) > 0.01  # an order could be told


def test_the_chat_is_the_one_the_models_template_makes(prm: TinyServer) -> None:
    tokenizer = AutoTokenizer.from_pretrained(prm.checkpoint)
    ours = QwenPrmScores().encode(QUESTION, STEPS[:3])
    turns = [
        {"role": "system", "content": r"Please reason step by step, and put your final answer "
         r"within \boxed{}."},
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": "".join(step + SEPARATOR for step in STEPS[:3])},
    ]  # fmt: skip
    assert ours == tokenizer.apply_chat_template(turns, tokenize=False)
    served = prm.post("/tokenize", prompt=ours)["tokens"]
    assert served == tokenizer(ours).input_ids


async def test_both_servers_fit_their_families_and_no_others(
    prm: TinyServer, writer: TinyServer
) -> None:
    async with (
        open_engine(prm.url, api_key=None, timeout=PATIENCE) as scoring,
        open_engine(writer.url, api_key=None, timeout=PATIENCE) as writing,
    ):
        assert await fitness.stepwise(scoring, prm.name, QwenPrmScores())(PATIENCE) is None
        assert await fitness.chat(writing, writer.name)(PATIENCE) is None
        split = await fitness.stepwise(writing, writer.name, QwenPrmScores())(PATIENCE)
        merged = await fitness.stepwise(scoring, prm.name, NewlineScores(SORM_COLUMN))(PATIENCE)
    assert split is not None  # the chat model's tokenizer has no such token
    assert "generation merges or splits the separator '<extra_0>': 0 of 3" in split
    assert merged is not None  # two of the steps end with a full stop
    assert "sorm merges or splits the separator 'Ċ': 3 of 5" in merged


async def test_text_with_the_separator_in_it_gives_no_scores(prm: TinyServer) -> None:
    async with open_engine(prm.url, api_key=None, timeout=PATIENCE) as engine:
        scorer = VllmStepScorer(engine, prm.name, QwenPrmScores())
        with pytest.raises(Exception, match="sorm: wrong_scores"):
            await scorer.score_steps("What is <extra_0>?", STEPS, lease=Lease(PATIENCE))


@pytest.mark.parametrize("first_error", [0, 1, 3])
def test_a_refiners_prompt_is_the_templates_with_the_stored_steps_left_open(
    writer: TinyServer, first_error: int
) -> None:
    chat = ChatPrompts().local_refiner(QUESTION, DRAFT, first_error)
    requested = {"role": "user", "content": chat.messages[0].content}
    tokenizer = AutoTokenizer.from_pretrained(writer.checkpoint)
    opened = tokenizer.apply_chat_template([requested], tokenize=False, add_generation_prompt=True)
    tokens = writer.post("/tokenize", **conversation(chat))["tokens"]
    assert writer.post("/detokenize", tokens=tokens)["prompt"] == opened + chat.begun
    assert tokens == tokenizer(opened + chat.begun).input_ids


def settings_of(prm: TinyServer, writer: TinyServer) -> Settings:
    """All five roles on the two servers; the PRM ranks too, by its score of the last step."""
    name = writer.name
    return Settings(
        generation=EngineSettings(url=AnyHttpUrl(writer.url), timeout=PATIENCE),
        scoring=EngineSettings(url=AnyHttpUrl(prm.url), timeout=PATIENCE),
        models=ModelNames(
            student=name, global_refiner=name, local_refiner=name, sorm=prm.name, orm=prm.name
        ),
        families=Families(
            student="chat",
            global_refiner="chat",
            local_refiner="chat",
            sorm="qwen_prm",
            orm="qwen_prm",
        ),
        threshold=1.0,  # every step is an error to it, so there is always something to refine
        probe_timeout=PATIENCE,
        max_deadline=PATIENCE,
    )


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """The whole gateway, in this process."""
    app = create_app(settings)
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        yield client


async def test_a_question_is_drafted_refined_and_ranked(
    prm: TinyServer, writer: TinyServer
) -> None:
    body = {
        "question": QUESTION,
        "deadline_ms": 590_000,
        "sampling": {"max_tokens": 48, "temperature": 1.0},
    }
    async with gateway(settings_of(prm, writer)) as client:
        ready = await client.get("/readyz")
        assert ready.json() == {
            "status": "ready",
            "version": version(),
            "engines": {"generation": "ready", "scoring": "ready"},
        }
        response = await client.post("/solve", json=body, timeout=PATIENCE)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["degraded"] == []
    kinds = [candidate["kind"] for candidate in answer["candidates"]]
    assert sorted(kinds) == ["draft", "global_refinement", "local_refinement"]
    draft = answer["draft"]
    assert draft["first_error"] == 0
    solution = answer["candidates"][0]["solution"]
    steps = [step.text for step in split_steps(solution)]
    expected = in_transformers(prm.checkpoint, QwenPrmScores().encode(QUESTION, steps))
    assert [step["score"] for step in draft["steps"]] == pytest.approx(expected, abs=1e-3)
    scores = [candidate["outcome_score"] for candidate in answer["candidates"]]
    assert scores[0] == pytest.approx(expected[-1], abs=1e-3)
    assert answer["selected"]["reason"] == "outcome_score"
    assert answer["selected"]["candidate"] == scores.index(max(scores))


async def test_a_local_refinement_keeps_the_text_before_the_error_byte_for_byte(
    prm: TinyServer, writer: TinyServer
) -> None:
    draft = "Tom  has 3 boxes.\n\n 3 x 12 = 36 pens. \n36 - 7 = 28.\n#### 28"
    job = Job(
        question=QUESTION,
        strategy=Strategy.LOCAL,
        sampling=Sampling(temperature=0.0),
        budget=Budget(deadline=PATIENCE, max_calls=4, max_generated_tokens=64),
        threshold=0.5,
        gate=0.5,
    )
    candidate = Candidate(CandidateKind.DRAFT, draft, "28", "stop")
    state = State(job, candidates=(candidate,))
    async with connect_vllm(settings_of(prm, writer)) as connected:
        calls = StageRunner(job, connected.engines, time.monotonic)
        event, cost = await calls.perform(RefineLocally(first_error=2, max_tokens=16), state)
    assert isinstance(event, Refined)
    stored = "Tom  has 3 boxes.\n\n 3 x 12 = 36 pens. \n"
    assert event.candidate.solution.startswith(stored)
    assert event.candidate.completion_offset == len(stored)
    chat = ChatPrompts().local_refiner(QUESTION, draft, 2)
    tokens = writer.post("/tokenize", **conversation(chat))["tokens"]
    greedy = {"temperature": 0.0, "max_tokens": 16}
    plain = writer.post("/v1/completions", prompt=tokens, **greedy)
    written = ChatPrompts().read(plain["choices"][0]["text"])
    assert event.candidate.solution == stored + written != stored
    assert cost.prompt_tokens == len(tokens)
    assert cost.generated_tokens == plain["usage"]["completion_tokens"]


def test_the_configuration_names_remote_code_as_the_real_one_does(prm: TinyServer) -> None:
    config = AutoConfig.from_pretrained(prm.checkpoint)
    assert config.architectures == ["Qwen2ForProcessRewardModel"]
    assert "AutoModel" in config.auto_map
