"""Answers of a gateway, as they go over the wire, and the parts they are made of."""

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

QUESTION = "Ann has 3 bags with 4 apples each and eats 2. How many apples are left?"


FINDING = {
    "verifier": "arithmetic",
    "step": 1,
    "start": 9,
    "end": 11,
    "claimed": "12",
    "expected": "10",
    "expression": "12 - 2",
}


def candidate(kind: str, answer: str | None, score: float | None = None) -> dict[str, Any]:
    solution = "3 x 4 = 12\n12 - 2 = 10\n" + (f"#### {answer}" if answer else "")
    return {
        "kind": kind,
        "solution": solution,
        "answer": answer,
        "outcome_score": score,
        "finish_reason": "stop",
        "findings": [],
        "base": 0 if kind.endswith("_refinement") else None,
    }


def refuted(draft: Mapping[str, Any]) -> dict[str, Any]:
    """The candidate as a verifier finds it; the ORM does not score it."""
    return {**draft, "outcome_score": None, "findings": [FINDING]}


def stage(name: str, started: float, seconds: float, generated: int) -> dict[str, Any]:
    return {
        "stage": name,
        "started": started,
        "seconds": seconds,
        "engine_calls": 1,
        "prompt_tokens": 50,
        "generated_tokens": generated,
    }


DRAFT_RANKED = stage("rerank", 1.5, 0.25, 0)
GLORE_STAGES = (
    stage("draft", 0.0, 1.0, 70),
    stage("refine_globally", 1.0, 2.0, 80),
    stage("score", 1.0, 0.5, 0),
    DRAFT_RANKED,
    stage("refine_locally", 1.5, 1.0, 40),
    stage("rerank", 3.0, 0.25, 0),
)


def result(
    *,
    strategy: str = "glore",
    candidates: Sequence[Mapping[str, Any]] | None = None,
    selected: int = 0,
    stages: Sequence[Mapping[str, Any]] = GLORE_STAGES,
    degraded: Sequence[Mapping[str, Any]] = (),
    first_error: int | None = 1,
    is_refuted: bool = False,
) -> dict[str, Any]:
    """A whole response body."""
    if candidates is None:
        candidates = (
            candidate("draft", "12", 0.2),
            candidate("global_refinement", "10", 0.9),
            candidate("local_refinement", "11", 0.4),
        )
    draft, *others = candidates
    candidates = [refuted(draft) if is_refuted else draft, *others]
    stages = [each for each in stages if not (is_refuted and each is DRAFT_RANKED)]
    found_by = "arithmetic" if is_refuted else "sorm"
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
        "candidates": candidates,
        "draft": {
            "steps": [
                {"index": 0, "text": "3 x 4 = 12", "score": 0.98},
                {"index": 1, "text": "12 - 2 = 12", "score": 0.21},
                {"index": 2, "text": "#### 12", "score": 0.15},
            ],
            "first_error": first_error,
            "first_error_by": None if first_error is None else found_by,
            "threshold": 0.5,
            "critique": "3 x 4 = 12\n[BAD] 12 - 2 = 12\n#### 12",
        },
        "rounds": 1,
        "usage": {
            "seconds": max(part["started"] + part["seconds"] for part in stages),
            "engine_calls": len(stages),
            "prompt_tokens": sum(part["prompt_tokens"] for part in stages),
            "generated_tokens": sum(part["generated_tokens"] for part in stages),
            "stages": list(stages),
        },
        "degraded": list(degraded),
    }


def older(body: Mapping[str, Any]) -> dict[str, Any]:
    """The answer as a gateway without verifiers gives it."""
    plain = copy.deepcopy(dict(body))
    del plain["rounds"], plain["draft"]["first_error_by"]
    for each in plain["candidates"]:
        del each["findings"], each["base"]
    return plain


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


def events_of(body: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The events of a stream that ends with this result, names and data."""
    draft, *others = ({**each, "outcome_score": None} for each in body["candidates"])
    samples = [each for each in others if each["kind"] == "sample"]
    refined = [each for each in others if each["kind"] != "sample"]
    steps = body["draft"]["steps"]
    half = len(draft["solution"]) // 2
    events: list[tuple[str, dict[str, Any]]] = [
        ("draft.delta", {"text": draft["solution"][:half]}),
        ("draft.delta", {"text": draft["solution"][half:]}),
        (
            "draft",
            {"candidate": draft, "samples": samples, "steps": [each["text"] for each in steps]},
        ),
    ]
    if steps and steps[0]["score"] is not None:
        parts = {key: body["draft"][key] for key in ("threshold", "critique")}
        index, found_by = body["draft"]["first_error"], body["draft"]["first_error_by"]
        scores = ("scores", {"candidate": 0, "scores": [each["score"] for each in steps]})
        error = ("first_error", {"index": index, "found_by": found_by, **parts})
        events += [error, scores] if draft["findings"] else [scores, error]
    for index, each in enumerate(refined, start=1 + len(samples)):
        events += [
            (
                "refined.delta",
                {"kind": each["kind"], "base": each["base"], "round": 1, "text": each["solution"]},
            ),
            ("refined", {"candidate": each, "place": index}),
        ]
    return [*events, ("selected", body["selected"]), ("done", dict(body))]


def as_events(events: Iterable[tuple[str, object]]) -> bytes:
    """Events as they go over the wire, numbered from 1."""
    return b"".join(
        f"id: {number}\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode()
        for number, (name, data) in enumerate(events, start=1)
    )


def line(index: int, **parts: object) -> bytes:
    """A line of a batch: with `result` it is ok, with `error` it is not."""
    body = {"index": index, "id": None, "result": None, "error": None, **parts}
    body["status"] = "error" if body["result"] is None else "ok"
    return json.dumps(body).encode() + b"\n"


def last_line(ok: int, errors: int = 0) -> bytes:
    """The end of a batch."""
    return json.dumps({"done": True, "ok": ok, "errors": errors}).encode() + b"\n"


def broken_line(*, ok: int, errors: int, error: dict[str, Any]) -> bytes:
    """The last line of a batch that could not be gone on with."""
    content = {"done": False, "ok": ok, "errors": errors, "error": error}
    return json.dumps(content).encode() + b"\n"
