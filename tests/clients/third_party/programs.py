"""Each function uses one client library as its documentation shows; `main` prints what it saw.

It runs in an environment of its own: `python programs.py CLIENT`, with the addresses and keys of
`test_third_party.py` in the environment.
"""

import asyncio
import inspect
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

QUESTION = "Tom has 3 boxes with 12 pens each. How many pens has he?"
MESSAGES = [{"role": "user", "content": QUESTION}]
LONG = [{"role": "user", "content": "x" * 20_001}]
LARGE = [{"role": "user", "content": "x" * 100_000}]  # a body that is not read
URL = os.environ["GATEWAY"]  # without /v1
DOWN = os.environ["GATEWAY_WITHOUT_ENGINE"]
KEY = os.environ["GATEWAY_KEY"]
OWN = os.environ["OWN_MODEL"]  # that no other client asks the gateway without an engine


async def caught(call: Callable[[], Any]) -> list[str]:
    """The class and the text of the exception that the call raises."""
    try:
        result = call()
        if inspect.isawaitable(result):
            await result
    except Exception as error:  # noqa: BLE001 - any class is what the test is about
        return [type(error).__name__, str(error)]
    return ["nothing", ""]


async def openai() -> dict[str, Any]:
    """The Python client, async and sync."""
    from openai import AsyncOpenAI, OpenAI

    def client(url: str = f"{URL}/v1", key: str = KEY, max_retries: int = 0) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=url, api_key=key, max_retries=max_retries)

    async def ask(to: AsyncOpenAI, **changes: Any) -> Any:
        create: Any = to.chat.completions.create
        return await create(**({"model": "glore", "messages": MESSAGES} | changes))

    whole = await ask(client(), user="me", seed=7, temperature=0.7)
    stream = await ask(client(), stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    with OpenAI(base_url=f"{URL}/v1", api_key=KEY).chat.completions.stream(
        model="glore",
        messages=MESSAGES,  # type: ignore[arg-type] # a plain dict
    ) as helper:
        accumulated = helper.get_final_completion()
    return {
        "answer": (await ask(client())).choices[0].message.content,
        "stream": "".join(each.choices[0].delta.content or "" for each in chunks if each.choices),
        "helper": accumulated.choices[0].message.content,
        "usage": [whole.usage.completion_tokens, chunks[-1].usage.completion_tokens],
        "ignored": whole.model_extra["glore"]["ignored"],
        "models": [model.id async for model in client().models.list()],
        "wrong model": await caught(lambda: ask(client(), model="gpt-5")),
        "too long": await caught(lambda: ask(client(), messages=LONG)),
        "invalid": await caught(lambda: ask(client(), n=2)),
        "wrong key": await caught(lambda: ask(client(key="wrong"))),
        "no engine": await caught(lambda: ask(client(f"{DOWN}/v1", max_retries=1), model=OWN)),
        "without /v1": await caught(lambda: ask(client(URL))),
        "/v1 twice": await caught(lambda: ask(client(f"{URL}/v1/v1"))),
        "responses": await caught(lambda: client().responses.create(model="glore", input="x")),
    }


async def langchain() -> dict[str, Any]:
    """langchain-openai."""
    from langchain_openai import ChatOpenAI

    def add(a: int, b: int) -> int:
        """The sum of two numbers."""
        return a + b

    def chat(url: str = f"{URL}/v1", **changes: Any) -> ChatOpenAI:
        options = {"model": "glore", "api_key": KEY, "max_retries": 0} | changes
        return ChatOpenAI(base_url=url, **options)

    talk = [("system", "You are a helpful assistant."), ("human", QUESTION)]
    whole = await chat(temperature=0.7, seed=1).ainvoke(talk)
    again = [*talk, whole, ("human", "And with 5 boxes?")]
    chunks = [chunk async for chunk in chat(stream_usage=True).astream(QUESTION)]
    usage = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    return {
        "answer": (await chat().ainvoke(QUESTION)).content,
        "stream": "".join(str(chunk.content) for chunk in chunks),
        "usage": [(whole.usage_metadata or {})["output_tokens"], usage[-1]["output_tokens"]],
        "goes on": (await chat().ainvoke(again)).content,
        "batch": [each.content for each in await chat().abatch([QUESTION, QUESTION])],
        "wrong model": await caught(lambda: chat(model="gpt-5").ainvoke(QUESTION)),
        "too long": await caught(lambda: chat().ainvoke("x" * 20_001)),
        "too large": await caught(lambda: chat().ainvoke("x" * 100_000)),
        "invalid": await caught(lambda: chat(presence_penalty=1.0).ainvoke(QUESTION)),
        "tools": await caught(lambda: chat().bind_tools([add]).ainvoke(QUESTION)),
        "wrong key": await caught(lambda: chat(api_key="wrong").ainvoke(QUESTION)),
        "no engine": await caught(
            lambda: chat(f"{DOWN}/v1", max_retries=1, model=OWN).ainvoke(QUESTION)
        ),
        "without /v1": await caught(lambda: chat(URL).ainvoke(QUESTION)),
    }


async def litellm() -> dict[str, Any]:
    """LiteLLM, with its fallback for questions that are too long."""
    import litellm as library

    library.suppress_debug_info = True

    async def ask(url: str = f"{URL}/v1", **changes: Any) -> Any:
        options = {"model": "openai/glore", "messages": MESSAGES, "max_retries": 0} | changes
        return await library.acompletion(api_base=url, **{"api_key": KEY} | options)

    elsewhere = {"model": "openai/glore-draft", "api_base": f"{URL}/v1", "api_key": KEY}
    router = library.Router(
        model_list=[
            {"model_name": "short", "litellm_params": elsewhere},
            {"model_name": "long", "litellm_params": elsewhere | {"mock_response": "fell back"}},
        ],
        context_window_fallbacks=[{"short": ["long"]}],
        num_retries=0,
    )
    whole = await ask(seed=3, temperature=0.5, metadata={"run": "1"})
    chunks = [
        chunk async for chunk in await ask(stream=True, stream_options={"include_usage": True})
    ]
    fallbacks = [await router.acompletion(model="short", messages=each) for each in (LONG, LARGE)]
    return {
        "answer": (await ask()).choices[0].message.content,
        "stream": "".join(each.choices[0].delta.content or "" for each in chunks if each.choices),
        "usage": [whole.usage.completion_tokens, chunks[-1].usage.completion_tokens],
        "fallbacks": [each.choices[0].message.content for each in fallbacks],
        "wrong model": await caught(lambda: ask(model="openai/gpt-5")),
        "too long": await caught(lambda: ask(messages=LONG)),
        "too large": await caught(lambda: ask(messages=LARGE)),
        "invalid": await caught(lambda: ask(n=2)),
        "wrong key": await caught(lambda: ask(api_key="wrong")),
        "no engine": await caught(lambda: ask(f"{DOWN}/v1", model=f"openai/{OWN}", max_retries=1)),
        "without /v1": await caught(lambda: ask(URL)),
    }


async def autogen() -> dict[str, Any]:
    """AutoGen's model client, which puts a name on every message of a user."""
    from autogen_core.models import (
        AssistantMessage,
        CreateResult,
        ModelInfo,
        SystemMessage,
        UserMessage,
    )
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    def client(url: str = f"{URL}/v1", **changes: Any) -> OpenAIChatCompletionClient:
        info = ModelInfo(
            vision=False,
            function_calling=False,
            json_output=False,
            family="unknown",
            structured_output=False,
            multiple_system_messages=True,
        )
        options = {"model": "glore", "api_key": KEY, "max_retries": 0} | changes
        return OpenAIChatCompletionClient(base_url=url, model_info=info, **options)

    asked = UserMessage(content=QUESTION, source="user")
    system = SystemMessage(content="You are a helpful assistant.")
    whole = await client(seed=5, temperature=0.7).create([system, asked])
    earlier = AssistantMessage(content=str(whole.content), source="solver")

    async def last(items: AsyncIterator[str | CreateResult]) -> tuple[str, CreateResult]:
        read = [item async for item in items]
        assert isinstance(read[-1], CreateResult)
        return "".join(item for item in read if isinstance(item, str)), read[-1]

    text, streamed = await last(
        client().create_stream(
            [asked], extra_create_args={"stream_options": {"include_usage": True}}
        )
    )
    long = UserMessage(content="x" * 20_001, source="user")
    return {
        "answer": (await client().create([asked])).content,
        "stream": text,
        "usage": [whole.usage.completion_tokens, streamed.usage.completion_tokens],
        "goes on": (await client().create([system, asked, earlier, asked])).content,
        "wrong model": await caught(lambda: client(model="gpt-5").create([asked])),
        "too long": await caught(lambda: client().create([long])),
        "invalid": await caught(lambda: client(presence_penalty=1.0).create([asked])),
        "wrong key": await caught(lambda: client(api_key="wrong").create([asked])),
        "no engine": await caught(
            lambda: client(f"{DOWN}/v1", model=OWN, max_retries=1).create([asked])
        ),
        "without /v1": await caught(lambda: client(URL).create([asked])),
    }


async def lm_eval() -> dict[str, Any]:
    """lm-evaluation-harness, `local-chat-completions`, on a task of two questions."""
    import requests
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    key = {"Authorization": f"Bearer {KEY}"}
    solved = await asyncio.to_thread(
        requests.post, f"{URL}/solve", json={"question": QUESTION}, headers=key, timeout=60
    )
    rows = [
        {"question": QUESTION, "answer": solved.json()["answer"]},
        {"question": "What is 1 + 1?", "answer": "not this"},
    ]
    folder = Path.cwd()
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "task.yaml").write_text(
        json.dumps(
            {
                "task": "two_questions",
                "dataset_path": "json",
                "dataset_kwargs": {"data_files": {"test": str(folder / "rows.jsonl")}},
                "test_split": "test",
                "output_type": "generate_until",
                "doc_to_text": "{{question}}",
                "doc_to_target": "{{answer}}",
                "generation_kwargs": {
                    "until": ["Question:", "</s>", "<|im_end|>"],
                    "do_sample": True,
                    "temperature": 0.7,
                },
                "filter_list": [
                    {
                        "name": "strict-match",
                        "filter": [
                            {"function": "regex", "regex_pattern": "#### (\\-?[0-9.,]+)"},
                            {"function": "take_first"},
                        ],
                    }
                ],
                "metric_list": [
                    {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}
                ],
            }
        )
    )
    tasks = TaskManager(include_path=str(folder), include_defaults=False)

    def evaluate(**changes: Any) -> float:
        arguments = {"base_url": f"{URL}/v1/chat/completions", "model": "glore"} | changes
        os.environ["OPENAI_API_KEY"] = arguments.pop("key", KEY)
        results: Any = simple_evaluate(
            model="local-chat-completions",
            model_args={"num_concurrent": 1, "max_retries": 1} | arguments,
            tasks=["two_questions"],
            task_manager=tasks,
            apply_chat_template=True,
            bootstrap_iters=0,
            log_samples=False,
        )
        score: float = results["results"]["two_questions"]["exact_match,strict-match"]
        return score

    async def score(**changes: Any) -> float:
        return await asyncio.to_thread(evaluate, **changes)  # it runs a loop of its own

    down = f"{DOWN}/v1/chat/completions"
    return {
        "one at a time": await score(),
        "two at a time": await score(num_concurrent=2),
        "wrong model": await caught(lambda: score(model="gpt-5")),
        "wrong key": await caught(lambda: score(key="wrong")),
        "no engine": await caught(lambda: score(base_url=down, model=OWN, max_retries=2)),
        "without /v1": await caught(lambda: score(base_url=f"{URL}/chat/completions")),
    }


if __name__ == "__main__":
    observed = asyncio.run(globals()[sys.argv[1]]())
    Path(sys.argv[2]).write_text(json.dumps(observed, indent=1))
