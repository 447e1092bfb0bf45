"""The JSON that vLLM 0.32 answers with; `tests/live/test_simulator_shapes.py` holds it to that."""

import time
import uuid
from collections.abc import Sequence
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


def new_id(kind: str) -> str:
    """An id as the server makes them: `cmpl-...`, `chatcmpl-...`, `pool-...`."""
    return f"{kind}-{uuid.uuid4().hex[:16]}"


def usage(prompt: int, completion: int) -> Json:
    """Token counts of a generating endpoint."""
    return {
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
        "completion_tokens": completion,
        "prompt_tokens_details": None,
    }


def completion(model: str, texts: Sequence[tuple[str, str]], counts: Json) -> Json:
    """`POST /v1/completions`; `texts` are (text, finish reason)."""
    choices = [
        {
            "index": index,
            "text": text,
            "logprobs": None,
            "finish_reason": reason,
            "stop_reason": None,
            "token_ids": None,
            "prompt_logprobs": None,
            "prompt_token_ids": None,
            "routed_experts": None,
        }
        for index, (text, reason) in enumerate(texts)
    ]
    return {
        **_head("cmpl", "text_completion", model),
        "choices": choices,
        "service_tier": None,
        "system_fingerprint": None,
        "usage": counts,
        "kv_transfer_params": None,
        "ec_transfer_params": None,
        "metrics": None,
    }


def chat(model: str, texts: Sequence[tuple[str, str]], counts: Json) -> Json:
    """`POST /v1/chat/completions`."""
    choices = [
        {
            "index": index,
            "message": {
                "role": "assistant",
                "content": text,
                "refusal": None,
                "annotations": None,
                "audio": None,
                "function_call": None,
                "reasoning": None,
            },
            "logprobs": None,
            "finish_reason": reason,
            "stop_reason": None,
            "token_ids": None,
            "routed_experts": None,
        }
        for index, (text, reason) in enumerate(texts)
    ]
    return {
        **_head("chatcmpl", "chat.completion", model),
        "choices": choices,
        "service_tier": None,
        "system_fingerprint": None,
        "usage": counts,
        "prompt_logprobs": None,
        "prompt_token_ids": None,
        "prompt_text": None,
        "kv_transfer_params": None,
        "ec_transfer_params": None,
        "metrics": None,
    }


def completion_chunk(head: Json, index: int, text: str, reason: str | None) -> Json:
    """One event of a streamed completion."""
    choice = {
        "index": index,
        "text": text,
        "logprobs": None,
        "finish_reason": reason,
        "stop_reason": None,
    }
    return {**head, "choices": [choice]}


def chat_chunk(head: Json, index: int, delta: Json, reason: str | None) -> Json:
    """One event of a streamed chat."""
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
    return {**head, "choices": [choice]}


def stream_head(kind: str, model: str) -> Json:
    """What every event of a stream begins with."""
    shape = "text_completion" if kind == "cmpl" else "chat.completion.chunk"
    return _head(kind, shape, model)


def pooling(model: str, rows: Sequence[Sequence[Sequence[float]]], prompt: int) -> Json:
    """`POST /pooling`; per input, one row of labels per pooled token."""
    data = [
        {"index": index, "object": "pooling", "data": list(each)} for index, each in enumerate(rows)
    ]
    return {
        **_head("pool", "list", model),
        "data": data,
        "usage": {
            "prompt_tokens": prompt,
            "total_tokens": prompt,
            "completion_tokens": 0,
            "prompt_tokens_details": None,
        },
    }


def error(status: int, message: str, kind: str) -> Json:
    """Any refusal."""
    return {"error": {"message": message, "type": kind, "param": None, "code": status}}


def models(names: Sequence[str], max_model_len: int) -> Json:
    """`GET /v1/models`."""
    cards: list[Json] = [
        {
            "id": name,
            "object": "model",
            "created": int(time.time()),
            "owned_by": "vllm",
            "root": name,
            "parent": None,
            "max_model_len": max_model_len,
            "permission": [],
        }
        for name in names
    ]
    return {"object": "list", "data": cards}


def _head(kind: str, shape: str, model: str) -> Json:
    return {"id": new_id(kind), "object": shape, "created": int(time.time()), "model": model}
