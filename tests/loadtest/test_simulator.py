"""The simulated engine: shapes, timing, faults, aborts, repeatability."""

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from glore.formats.answers import parse_answer
from glore.formats.prompts import local_refiner_prompt
from glore.formats.scores import NewlineScores
from glore.formats.steps import split_steps
from loadtest.simulation.server import UPSTREAM_TEXT
from loadtest.simulation.settings import FAULTS, Fault, Timing, parse_fault
from loadtest.simulator import parsed
from tests.loadtest.simulated import ASKED, completed, engine, streamed


async def test_a_completion_is_a_solution_with_an_answer() -> None:
    async with engine(right=1.0) as (_, client):
        answer = await completed(client, n=2)
    texts = [choice["text"] for choice in answer["choices"]]
    assert texts[0] == texts[1]
    assert len(split_steps(texts[0])) == 4
    assert parse_answer(texts[0]) is not None
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


async def test_some_solutions_are_wrong_and_the_scores_tell() -> None:
    async with engine(right=0.5) as (_, client):
        answer = await completed(client, n=40, temperature=0.7)
        texts = [choice["text"] for choice in answer["choices"]]
        answers = [parse_answer(text) for text in texts]
        common = max(set(answers), key=answers.count)
        assert 8 < answers.count(common) < 32
        scores = NewlineScores(0)
        wrong = texts[next(i for i, each in enumerate(answers) if each != common)]
        steps = [step.text for step in split_steps(wrong)]
        body = {"model": "sorm", "input": scores.encode("How many?", steps)}
        async with client.post("/pooling", json={**body, "task": "token_classify"}) as response:
            rows = (await response.json())["data"][0]["data"]
    values = scores.decode(rows, len(steps))
    assert min(values) < 0.5 < max(values)


async def test_a_local_refinement_goes_on_from_the_steps_that_are_kept() -> None:
    async with engine(right=1.0) as (_, client):
        whole = (await completed(client))["choices"][0]["text"]
        prompt = local_refiner_prompt("How many?", whole, 1)
        rest = (await completed(client, prompt=prompt, model="local_refiner"))["choices"][0]["text"]
    assert rest == whole.partition("\n")[2]


async def test_the_same_seed_repeats_and_greedy_text_never_changes() -> None:
    async def texts(seed: int, **changes: object) -> list[str]:
        async with engine(seed=seed, right=0.5) as (_, client):
            answers = [await completed(client, **changes) for _ in range(6)]
        return [answer["choices"][0]["text"] for answer in answers]

    first = await texts(1, temperature=0.7)
    assert first == await texts(1, temperature=0.7)
    assert len(set(first)) > 1
    assert len(set(await texts(1, temperature=0.0))) == 1


async def test_a_stream_says_the_same_as_a_whole_answer() -> None:
    async with engine() as (_, client):
        whole = await completed(client, temperature=0.0)
        body = {**ASKED, "stream": True, "temperature": 0.0}
        body["stream_options"] = {"include_usage": True}
        events = await streamed(client, "/v1/completions", body)
        turns = {"messages": [{"role": "user", "content": "How many?"}], "model": "student"}
        chat = await streamed(
            client, "/v1/chat/completions", {**turns, "stream": True, "max_tokens": 99}
        )
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    # greedy texts of two different requests are drawn apart
    text = "".join(choice["text"] for chunk in chunks for choice in chunk["choices"])
    assert parse_answer(text) is not None
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["completion_tokens"] == len(chunks) - 1
    deltas = [json.loads(event)["choices"][0]["delta"] for event in chat[:-1]]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert parse_answer("".join(delta["content"] for delta in deltas)) is not None


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
async def test_a_stream_that_is_asked_to_counts_as_it_goes(path: str) -> None:
    counting = {"include_usage": True, "continuous_usage_stats": True}
    turns = [{"role": "user", "content": "How many?"}]
    body = {**ASKED, "messages": turns, "stream": True, "stream_options": counting}
    async with engine() as (simulator, client):
        events = await streamed(client, path, body)
    counts = [json.loads(event)["usage"]["completion_tokens"] for event in events[:-1]]
    last = max(counts)
    opened = [0] if "chat" in path else []
    assert counts == [*opened, *range(1, last + 1), last]
    assert simulator.written == last


async def test_a_client_that_goes_away_frees_its_slot() -> None:
    async with engine(timing=Timing(first_token=60.0)) as (simulator, client):
        task = asyncio.create_task(completed(client))
        while simulator.running != 1:
            await asyncio.sleep(0.01)
        async with client.get("/metrics") as response:
            assert 'vllm:num_requests_running{engine="0",model_name="student"} 1.0' in (
                await response.text()
            )
        task.cancel()
        started = time.monotonic()
        while simulator.running:
            await asyncio.sleep(0.005)
            assert time.monotonic() - started < 5
        assert simulator.finished["abort"] == 1


async def test_finished_requests_are_told_by_the_reasons_that_vllm_has() -> None:
    async with engine() as (_, client):
        await completed(client, n=2)
        await completed(client, max_tokens=1)
        async with client.post("/pooling", json={"model": "sorm", "input": "1\n"}) as response:
            assert response.status == 200
        async with client.get("/metrics") as response:
            families = text_string_to_metric_families(await response.text())
            found = {
                sample.labels["finished_reason"]: sample.value
                for family in families
                for sample in family.samples
                if sample.name == "vllm:request_success_total"
            }
    assert found == {"stop": 3, "length": 1, "abort": 0, "error": 0, "repetition": 0}


async def test_no_more_than_its_slots_run_at_once() -> None:
    async with engine(timing=Timing(first_token=0.05, slots=2)) as (simulator, client):
        tasks = [asyncio.create_task(completed(client)) for _ in range(5)]
        seen = set()
        while not all(task.done() for task in tasks):
            seen.add((simulator.running, simulator.waiting))
            await asyncio.sleep(0.005)
    assert max(running for running, _ in seen) == 2
    assert max(waiting for _, waiting in seen) == 3


async def test_a_busy_engine_is_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    timing = Timing(first_token=1.0, per_prompt_token=0.1, between_tokens=0.5, per_request=0.5)
    async with engine(timing=timing) as (simulator, client):
        monkeypatch.setattr("loadtest.simulation.server.asyncio.sleep", sleep)
        answer = await completed(client)
        alone, slept = slept, []
        simulator.running += 2
        await completed(client)
        monkeypatch.undo()
    usage = answer["usage"]
    assert alone[0] == pytest.approx(1.0 + 0.1 * usage["prompt_tokens"])
    assert alone[1] == pytest.approx(0.5 * usage["completion_tokens"])
    assert slept[0] == pytest.approx(2 * alone[0])


@pytest.mark.parametrize("kind", ["400", "429", "500"])
async def test_refusals_carry_a_text_that_no_client_should_see(kind: str) -> None:
    async with (
        engine(faults=(parse_fault(kind),)) as (_, client),
        client.post("/v1/completions", json=ASKED) as response,
    ):
        assert response.status == int(kind)
        error = (await response.json())["error"]
    assert error["code"] == int(kind)
    assert "nobody else" in error["message"]


@pytest.mark.parametrize("kind", ["reset", "cut"])
async def test_a_connection_breaks_before_or_within_the_answer(kind: str) -> None:
    async with engine(faults=(parse_fault(kind),)) as (_, client):
        with pytest.raises(aiohttp.ClientError):
            await completed(client)
        if kind == "cut":
            with pytest.raises(aiohttp.ClientError):
                await streamed(client, "/v1/completions", {**ASKED, "stream": True})


@pytest.mark.parametrize("kind", ["slow", "400", "429", "500", "cut", "garbage", "nan", "empty"])
async def test_the_headers_of_a_faulty_answer_have_that_text_too(kind: str) -> None:
    async with engine(faults=(parse_fault(kind),)) as (_, client):
        async with client.post("/v1/completions", json=ASKED) as response:
            assert response.headers["X-Simulated-Fault"] == f"{kind}; {UPSTREAM_TEXT}"
            assert (response.reason == UPSTREAM_TEXT) is (kind in {"400", "429", "500"})
        async with client.get("/health") as response:
            assert "X-Simulated-Fault" not in response.headers


async def test_a_hanging_engine_never_answers_and_a_slow_one_does() -> None:
    faults = (Fault("hang", model="student"), Fault("slow", model="local_refiner"))
    timing = Timing(first_token=0.01)
    async with engine(faults=faults, timing=timing) as (simulator, client):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(completed(client), 0.2)
        started = time.monotonic()
        await completed(client, model="local_refiner")
        assert time.monotonic() - started >= 0.1
    assert simulator.faults == {"hang": 1, "slow": 1}


async def test_bad_bodies() -> None:
    pooled = {"model": "sorm", "input": "Question: q\nSolution:\n1\n2\n"}

    async def rows(fault: str) -> Any:
        async with (
            engine(faults=(parse_fault(fault),)) as (_, client),
            client.post("/pooling", json=pooled) as response,
        ):
            return json.loads(await response.text())["data"][0]["data"]

    assert len(await rows("orm:count")) == 4
    assert len(await rows("sorm:count")) == 3
    assert all(value != value for row in await rows("nan") for value in row)  # noqa: PLR0124
    async with engine(faults=(parse_fault("student:garbage"),)) as (_, client):
        with pytest.raises(json.JSONDecodeError):
            await completed(client)
    async with engine(faults=(parse_fault("empty"),)) as (_, client):
        assert (await completed(client))["choices"][0]["text"] == ""
    async with engine(faults=(parse_fault("endless"),)) as (_, client):
        answer = await completed(client)
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == ASKED["max_tokens"]


async def test_a_share_of_the_requests_goes_wrong() -> None:
    async with engine(faults=(parse_fault("500=0.3"),)) as (simulator, client):
        for _ in range(100):
            async with client.post("/v1/completions", json=ASKED):
                pass
    assert 15 < simulator.faults["500"] < 45


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"model": "other"}, 404), ({"model": "student", "prompt": 3}, 400)],
)
async def test_what_a_sound_engine_refuses(body: dict[str, object], status: int) -> None:
    async with (
        engine() as (_, client),
        client.post("/v1/completions", json=body) as response,
    ):
        assert response.status == status
        assert set(await response.json()) == {"error"}


async def test_a_key_is_asked_for_when_there_is_one() -> None:
    async with engine(api_key="secret") as (_, client):
        async with client.post("/v1/completions", json=ASKED) as response:
            assert response.status == 401
        headers = {"Authorization": "Bearer secret"}
        async with client.post("/v1/completions", json=ASKED, headers=headers) as response:
            assert response.status == 200


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    settings, host, port = parsed(["--port", "0", "--fault", "sorm:nan=0.5", "--slots", "3"])
    assert (host, port) == ("127.0.0.1", 0)
    assert settings.faults == (Fault("nan", 0.5, "sorm"),)
    assert settings.timing.slots == 3
    for wrong in ("sorm:refused", "sorm:nap", "nan=2", "nan=x"):
        with pytest.raises(SystemExit):
            parsed(["--fault", wrong])
    assert "no share" in capsys.readouterr().err
    assert all(parse_fault(kind).share == 1.0 for kind in FAULTS)
