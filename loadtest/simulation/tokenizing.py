"""A tokenizer that has no vocabulary but what it was asked for, and a chat template."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from loadtest.simulation import writing

_UNKNOWN: Final = "\N{REPLACEMENT CHARACTER}"
_MOST: Final = 0x1FFFFFFF  # less than the gateway takes for a token id
# Byte-level tokenizers write each byte as a letter that can be seen: a newline is \u010a.
_SEEN: Final = (*range(33, 127), *range(161, 173), *range(174, 256))
_UNSEEN: Final = tuple(byte for byte in range(256) if byte not in _SEEN)
_LETTERS: Final = {byte: chr(byte) for byte in _SEEN} | {
    byte: chr(256 + place) for place, byte in enumerate(_UNSEEN)
}


class Vocabulary:
    """Ids of the pieces of texts; the same piece has the same one in every engine."""

    def __init__(self) -> None:
        self._pieces: dict[int, str] = {}

    def encode(self, text: str) -> tuple[list[int], list[str]]:
        """The tokens of a text: their ids, and how a byte-level tokenizer writes them."""
        pieces = writing.tokens(text)
        ids = [_id_of(piece) for piece in pieces]
        self._pieces.update(zip(ids, pieces, strict=True))
        return ids, ["".join(_LETTERS[byte] for byte in piece.encode()) for piece in pieces]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens that this engine has given."""
        return "".join(self._pieces.get(each, _UNKNOWN) for each in ids)


def rendered(body: Mapping[str, Any]) -> str:
    """The text of a request that has a `prompt` or `messages`, in ChatML as real models use it.

    With `continue_final_message` the last turn is left open, else one of the assistant's is
    opened unless `add_generation_prompt` is false.
    """
    if "messages" not in body:
        return str(body.get("prompt", ""))
    turns = [f"<|im_start|>{turn['role']}\n{turn['content']}" for turn in body["messages"]]
    text = "<|im_end|>\n".join(turns)
    if body.get("continue_final_message"):
        return text
    opened = "<|im_start|>assistant\n" if body.get("add_generation_prompt", True) else ""
    return f"{text}<|im_end|>\n{opened}"


def _id_of(piece: str) -> int:
    digest = hashlib.sha256(piece.encode()).digest()
    return int.from_bytes(digest[:4], "big") & _MOST
