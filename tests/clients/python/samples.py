"""Answers of a gateway, as they go over the wire, and the parts they are made of."""

from collections.abc import Mapping, Sequence
from typing import Any

QUESTION = "Ann has 3 bags with 4 apples each and eats 2. How many apples are left?"


def candidate(kind: str, answer: str | None, score: float | None = None) -> dict[str, Any]:
    solution = "3 x 4 = 12\n12 - 2 = 10\n" + (f"#### {answer}" if answer else "")
    return {
        "kind": kind,
        "solution": solution,
        "answer": answer,
        "outcome_score": score,
        "finish_reason": "stop",
    }


def stage(name: str, started: float, seconds: float, generated: int) -> dict[str, Any]:
    return {
        "stage": name,
        "started": started,
        "seconds": seconds,
        "engine_calls": 1,
        "prompt_tokens": 50,
        "generated_tokens": generated,
    }


GLORE_STAGES = (
    stage("draft", 0.0, 1.0, 70),
    stage("refine_globally", 1.0, 2.0, 80),
    stage("score", 1.0, 0.5, 0),
    stage("refine_locally", 1.5, 1.0, 40),
    stage("rerank", 3.0, 0.25, 0),
)


def result(  # noqa: PLR0913 - one argument for each part that tests vary
    *,
    strategy: str = "glore",
    candidates: Sequence[Mapping[str, Any]] | None = None,
    selected: int = 0,
    stages: Sequence[Mapping[str, Any]] = GLORE_STAGES,
    degraded: Sequence[Mapping[str, Any]] = (),
    first_error: int | None = 1,
) -> dict[str, Any]:
    """A whole response body."""
    if candidates is None:
        candidates = (
            candidate("draft", "12", 0.2),
            candidate("global_refinement", "10", 0.9),
            candidate("local_refinement", "11", 0.4),
        )
    return {
        "id": "solve_0123456789abcdef0123456789abcdef",
        "request_id": "req-1",
        "strategy": strategy,
        "answer": candidates[selected]["answer"],
        "solution": candidates[selected]["solution"],
        "selected": {
            "candidate": selected,
            "kind": candidates[selected]["kind"],
            "reason": "outcome_score",
            "explanation": "It has the highest outcome score.",
        },
        "candidates": list(candidates),
        "draft": {
            "steps": [
                {"index": 0, "text": "3 x 4 = 12", "score": 0.98},
                {"index": 1, "text": "12 - 2 = 12", "score": 0.21},
                {"index": 2, "text": "#### 12", "score": 0.15},
            ],
            "first_error": first_error,
            "threshold": 0.5,
            "critique": "3 x 4 = 12\n[BAD] 12 - 2 = 12\n#### 12",
        },
        "usage": {
            "seconds": max(part["started"] + part["seconds"] for part in stages),
            "engine_calls": len(stages),
            "prompt_tokens": sum(part["prompt_tokens"] for part in stages),
            "generated_tokens": sum(part["generated_tokens"] for part in stages),
            "stages": list(stages),
        },
        "degraded": list(degraded),
    }


def problem(status: int, detail: str, **more: object) -> dict[str, Any]:
    """A problem+json body."""
    return {
        "type": f"/problems/{status}",
        "title": "A problem",
        "status": status,
        "detail": detail,
        "request_id": "req-1",
        **more,
    }
