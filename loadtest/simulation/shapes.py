"""The JSON that vLLM 0.32 answers with; `tests/live/test_simulator_shapes.py` holds it to that."""

import time
import uuid
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final, TypeAlias

Json: TypeAlias = dict[str, Any]
FINGERPRINT: Final = "vllm-0.32.0-simulated"


def new_id(kind: str) -> str:
    """An id as the server makes them: `cmpl-...`, `chatcmpl-...`, `pooling-...`."""
    return f"{kind}-{uuid.uuid4().hex[:16]}"


def usage(prompt: int, completion: int) -> Json:
    """Token counts as a whole answer has them; a stream's leave the details out."""
    return {
        **stream_usage(prompt, completion),
        "prompt_tokens_details": None,
        "completion_tokens_details": None,
    }


def stream_usage(prompt: int, completion: int) -> Json:
    """Token counts at the end of a stream."""
    return {
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
        "completion_tokens": completion,
    }


def running_usage(prompt: int, completion: int, *, chat: bool) -> Json:
    """Token counts so far, of one text, in every event of a stream that was asked for them."""
    counts = stream_usage(prompt, completion)
    return {**counts, "completion_tokens_details": None} if chat else counts


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
        "system_fingerprint": FINGERPRINT,
        "usage": counts,
        "kv_transfer_params": None,
        "ec_transfer_params": None,
        "metrics": None,
    }


def echoed(model: str, texts: Sequence[Sequence[tuple[str, float]]], prompt_tokens: int) -> Json:
    """`POST /v1/completions` that echoes; of each text the tokens and their log-probabilities."""
    answer = completion(
        model,
        [("".join(token for token, _ in text), "length") for text in texts],
        usage(prompt_tokens, len(texts)),
    )
    for choice, text in zip(answer["choices"], texts, strict=True):
        values = [None, *(value for _, value in text[1:])]
        names = [token for token, _ in text]
        choice["logprobs"] = {
            "text_offset": list(accumulate(map(len, names[:-1]), initial=0)),
            "token_logprobs": values,
            "tokens": names,
            "top_logprobs": [
                None if value is None else {token: value}
                for token, value in zip(names, values, strict=True)
            ],
        }
        choice["prompt_logprobs"] = [
            None
            if value is None
            else {str(number): {"logprob": value, "rank": 1, "decoded_token": token}}
            for number, (token, value) in enumerate(zip(names, values, strict=True))
        ]
    return answer


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
        "system_fingerprint": FINGERPRINT,
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
        "prompt_token_ids": None,
        "token_ids": None,
    }
    return {**head, "choices": [choice]}


def chat_opening(head: Json, index: int) -> Json:
    """The first event of a streamed chat."""
    delta = {"role": "assistant", "content": ""}
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
    return {**head, "choices": [choice], "prompt_token_ids": None, "prompt_text": None}


def chat_chunk(head: Json, index: int, text: str, reason: str | None) -> Json:
    """Any other event of a streamed chat."""
    choice: Json = {"index": index, "delta": {"content": text}, "logprobs": None}
    choice["finish_reason"] = reason
    if reason is not None:
        choice["stop_reason"] = None
    return {**head, "choices": [{**choice, "token_ids": None}]}


def usage_chunk(head: Json, counts: Json) -> Json:
    """The last event of a stream that was asked for its usage."""
    return {**head, "choices": [], "usage": counts, "system_fingerprint": FINGERPRINT}


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
        **_head("pooling", "list", model),
        "data": data,
        "usage": usage(prompt, 0),
    }


def classification(model: str, values: Sequence[float], prompt: int) -> Json:
    """`POST /classify` for one conversation; the values of its labels."""
    best = max(range(len(values)), key=values.__getitem__, default=0)
    item = {"index": 0, "label": f"LABEL_{best}", "probs": values, "num_classes": len(values)}
    return {**_head("classify", "list", model), "data": [item], "usage": usage(prompt, 0)}


def tokenized(ids: Sequence[int], strings: Sequence[str] | None, max_model_len: int) -> Json:
    """`POST /tokenize`; the strings are null unless they were asked for."""
    counts = {"count": len(ids), "max_model_len": max_model_len}
    return {**counts, "tokens": ids, "token_strs": strings}


def error(status: int, message: str, kind: str, param: str | None = None) -> Json:
    """Any refusal; `param` names the field at fault."""
    return {"error": {"message": message, "type": kind, "param": param, "code": status}}


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
