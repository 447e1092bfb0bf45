"""Models that write, on a vLLM server: the Generator port.

A request never carries a `seed`: on CPU one seeded batch can end the server.

That an answer keeps to the tokens it was granted is checked, not trusted: by the engine's own
count, and for an engine that counts wrongly by characters and lines (`streamed.TextBound`).
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from glore.engines.exchange import EngineHTTP, EngineHTTPError, parse, size_of
from glore.engines.ports import STOPPED, Completion, Generation, Lease, Role
from glore.engines.streamed import CHAT, COMPLETION, StreamedCompletion, TextBound
from glore.engines.wire import ChatResponse, CompletionChoice, CompletionResponse
from glore.formats.chat import Chat
from glore.formats.writing import OnText, Prompt

_WHOLE_TEXT: Final = frozenset({"stop", "length", "repetition"})
_STREAMED: Final[Mapping[str, object]] = MappingProxyType(
    {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}
)


class VllmGenerator:
    """Fills the Generator port: a model under its name on the server.

    A text is continued through `/v1/completions`. A conversation goes through
    `/v1/chat/completions`, where the server applies the model's own chat template; a turn that
    is begun is left open and gone on with.
    """

    def __init__(self, engine: EngineHTTP, role: Role, model: str) -> None:
        self._engine = engine
        self._role = role
        self._model = model

    async def generate(
        self,
        prompt: Prompt,
        *,
        n: int,
        temperature: float,
        top_p: float,
        max_tokens: int,
        lease: Lease,
        on_text: OnText | None = None,
    ) -> Generation:
        """`n` completions of `prompt`, in the server's order. Raises EngineError."""
        sampling = {
            "n": n,
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_tokens,
        }
        path, content = _request_of(prompt)
        payload = {"model": self._model, **content, **sampling}
        chat, size = isinstance(prompt, Chat), size_of(n * max_tokens)
        ends: Collection[str] = _WHOLE_TEXT
        try:
            if on_text is None:
                body = await self._engine.post(path, payload, lease=lease, size=size)
                response = _written(body) if chat else parse(CompletionResponse, body)
                lease.report_tokens(response.usage.completion_tokens)
            else:
                streamed = StreamedCompletion(CHAT if chat else COMPLETION, on_text, max_tokens)
                try:
                    await self._engine.stream(
                        path, {**payload, **_STREAMED}, streamed.take, lease=lease, size=size
                    )
                finally:
                    lease.report_tokens(streamed.tokens)
                response = streamed.whole()
                if streamed.stopped:
                    ends = {STOPPED}
            completions = _completions(response, n, max_tokens, ends)
        except EngineHTTPError as fault:
            raise fault.as_error(self._role) from fault
        return Generation(
            completions, response.usage.prompt_tokens, response.usage.completion_tokens
        )


def _request_of(prompt: Prompt) -> tuple[str, dict[str, object]]:
    """Where a prompt goes, and how it is put there."""
    if isinstance(prompt, str):
        return "/v1/completions", {"prompt": prompt}
    return "/v1/chat/completions", conversation(prompt)


def conversation(chat: Chat) -> dict[str, object]:
    """A conversation in a request: with a turn to go on with, or with a new one to open."""
    turns = [{"role": turn.role, "content": turn.content} for turn in chat.messages]
    begun = bool(chat.begun.strip())
    if begun:
        turns.append({"role": "assistant", "content": chat.begun})
    return {
        "messages": turns,
        "add_generation_prompt": not begun,
        "continue_final_message": begun,
    }


def _written(body: bytes) -> CompletionResponse:
    """A chat's answer as completions. Raises EngineHTTPError."""
    response = parse(ChatResponse, body)
    choices = (
        CompletionChoice(index=one.index, text=one.message.content, finish_reason=one.finish_reason)
        for one in response.choices
    )
    return CompletionResponse(choices=tuple(choices), usage=response.usage)


def _completions(
    response: CompletionResponse, n: int, max_tokens: int, ends: Collection[str]
) -> tuple[Completion, ...]:
    """The `n` completions in order.

    Raises EngineHTTPError unless each is there once, ended as it may, and no longer than
    `max_tokens` allow.
    """
    choices = sorted(response.choices, key=lambda choice: choice.index)
    if [choice.index for choice in choices] != list(range(n)):
        raise EngineHTTPError(reason="bad_response")
    if response.usage.completion_tokens > n * max_tokens:
        raise EngineHTTPError(reason="bad_response")
    for choice in choices:
        TextBound(max_tokens).take(choice.text)
    if any(choice.finish_reason not in ends for choice in choices):
        raise EngineHTTPError(reason="failed")  # aborted on the server's side
    return tuple(Completion(choice.text, choice.finish_reason) for choice in choices)
