"""The examples of the OpenAPI document. A test holds them to the schemas."""

import json
from typing import Any, Final

_QUESTION: Final = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips "
    "in May. How many clips did Natalia sell altogether in April and May?"
)
_DRAFT: Final = (
    "In May she sold 48 / 2 = 24 clips.\nAltogether she sold 48 + 24 = 70 clips.\n#### 70"
)
_REFINED: Final = (
    "In May she sold 48 / 2 = 24 clips.\nAltogether she sold 48 + 24 = 72 clips.\n#### 72"
)
_FINDING: Final = {
    "verifier": "arithmetic",
    "step": 1,
    "start": 30,
    "end": 32,
    "claimed": "70",
    "expected": "72",
    "expression": "48 + 24",
}

REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "glore": {
        "summary": "Draft, refine, rerank",
        "value": {"question": _QUESTION},
    },
    "gated": {
        "summary": "Refine only a draft that a verifier refutes or the SORM is not sure of",
        "value": {"question": _QUESTION, "strategy": "gated"},
    },
    "adaptive": {
        "summary": "One candidate after the other, until no verifier refutes one",
        "value": {"question": _QUESTION, "strategy": "adaptive", "rounds": 2},
    },
    "best_of_n": {
        "summary": "Five samples, the ORM picks one",
        "value": {
            "question": _QUESTION,
            "strategy": "best_of_n",
            "sampling": {"temperature": 0.7, "top_p": 0.95, "max_tokens": 256, "n": 5},
            "deadline_ms": 30000,
        },
    },
}

RESPONSE: Final[dict[str, Any]] = {
    "id": "solve_0f8fad5bd9cb469fa165708677289501",
    "request_id": "7c9e6679f42b4de18f0e6f3a5b1f4d2a",
    "strategy": "glore",
    "answer": "72",
    "solution": _REFINED,
    "selected": {
        "candidate": 2,
        "kind": "local_refinement",
        "reason": "outcome_score",
        "explanation": "The local refinement has the highest outcome score, 0.93, of 2 candidates "
        "that no verifier refutes; the draft is refuted, with 70 for 48 + 24 in place of 72.",
    },
    "candidates": [
        {
            "kind": "draft",
            "solution": _DRAFT,
            "answer": "70",
            "outcome_score": None,
            "finish_reason": "stop",
            "findings": [_FINDING],
            "base": None,
        },
        {
            "kind": "global_refinement",
            "solution": "She sold 48 + 48 = 96 clips.\n#### 96",
            "answer": "96",
            "outcome_score": 0.21,
            "finish_reason": "stop",
            "findings": [],
            "base": 0,
        },
        {
            "kind": "local_refinement",
            "solution": _REFINED,
            "answer": "72",
            "outcome_score": 0.93,
            "finish_reason": "stop",
            "findings": [],
            "base": 0,
        },
    ],
    "draft": {
        "steps": [
            {"index": 0, "text": "In May she sold 48 / 2 = 24 clips.", "score": 0.97},
            {"index": 1, "text": "Altogether she sold 48 + 24 = 70 clips.", "score": 0.08},
            {"index": 2, "text": "#### 70", "score": 0.05},
        ],
        "first_error": 1,
        "first_error_by": "arithmetic",
        "threshold": 0.5,
        "critique": "In May she sold 48 / 2 = 24 clips.\n"
        "[BAD] Altogether she sold 48 + 24 = 70 clips.\n#### 70",
    },
    "rounds": 1,
    "usage": {
        "seconds": 3.097,
        "engine_calls": 5,
        "prompt_tokens": 498,
        "generated_tokens": 97,
        "stages": [
            {
                "stage": "draft",
                "started": 0.0,
                "seconds": 1.102,
                "engine_calls": 1,
                "prompt_tokens": 52,
                "generated_tokens": 37,
            },
            {
                "stage": "score",
                "started": 1.103,
                "seconds": 0.216,
                "engine_calls": 1,
                "prompt_tokens": 89,
                "generated_tokens": 0,
            },
            {
                "stage": "refine_globally",
                "started": 1.103,
                "seconds": 1.43,
                "engine_calls": 1,
                "prompt_tokens": 91,
                "generated_tokens": 33,
            },
            {
                "stage": "refine_locally",
                "started": 1.103,
                "seconds": 1.471,
                "engine_calls": 1,
                "prompt_tokens": 106,
                "generated_tokens": 27,
            },
            {
                "stage": "rerank",
                "started": 2.576,
                "seconds": 0.52,
                "engine_calls": 1,
                "prompt_tokens": 160,
                "generated_tokens": 0,
            },
        ],
    },
    "degraded": [],
}


def _unranked(index: int) -> dict[str, Any]:
    """A candidate as it is before there are outcome scores."""
    candidate: dict[str, Any] = RESPONSE["candidates"][index]
    return candidate | {"outcome_score": None}


def _refined(kind: str, text: str) -> dict[str, Any]:
    return {"kind": kind, "base": 0, "round": 1, "text": text}


_EVENTS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("draft.delta", {"text": "In May she sold 48 / 2 = 24 clips.\n"}),
    ("draft.delta", {"text": "Altogether she sold 48 + 24 = 70 clips.\n#### 70"}),
    ("draft", {"candidate": _unranked(0), "samples": [], "steps": _DRAFT.split("\n")}),
    (
        "first_error",
        {
            "index": 1,
            "found_by": "arithmetic",
            "threshold": 0.5,
            "critique": RESPONSE["draft"]["critique"],
        },
    ),
    ("refined.delta", _refined("global_refinement", "She sold 48 + 48")),
    ("scores", {"candidate": 0, "scores": [0.97, 0.08, 0.05]}),
    ("refined.delta", _refined("global_refinement", " = 96 clips.\n#### 96")),
    (
        "refined.delta",
        _refined("local_refinement", "Altogether she sold 48 + 24 = 72 clips.\n#### 72"),
    ),
    ("refined", {"candidate": _unranked(1), "place": 1}),
    ("refined", {"candidate": _unranked(2), "place": 2}),
    ("selected", RESPONSE["selected"]),
    ("done", RESPONSE),
)
STREAM: Final = "".join(
    f"id: {number}\nevent: {name}\ndata: {json.dumps(data)}\n\n"
    for number, (name, data) in enumerate(_EVENTS, start=1)
)

READY: Final = {
    "status": "ready",
    "version": "0.1.0",
    "engines": {"generation": "ready", "scoring": "ready"},
}
DEGRADED: Final = {
    "status": "degraded",
    "version": "0.1.0",
    "engines": {"generation": "ready", "scoring": "unreachable"},
}
NOT_READY: Final = {
    "status": "not_ready",
    "version": "0.1.0",
    "engines": {"generation": "missing_models", "scoring": "unreachable"},
    "missing_models": {"generation": ["local_refiner"]},
}


def problem(
    slug: str,
    title: str,
    status: int,
    detail: str,
    errors: list[dict[str, str]] | None = None,
    retry_after: int | None = None,
) -> dict[str, Any]:
    """A problem as it would be answered."""
    example: dict[str, Any] = {
        "type": f"/problems/{slug}",
        "title": title,
        "status": status,
        "detail": detail,
        "request_id": "7c9e6679f42b4de18f0e6f3a5b1f4d2a",
    }
    further = {"errors": errors, "retry_after": retry_after}
    return example | {name: value for name, value in further.items() if value is not None}
