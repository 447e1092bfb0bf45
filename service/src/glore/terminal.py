"""Text of models, engines and gateways on its way to a terminal or into a JSON document.

A terminal obeys some characters instead of showing them: controls (CSI, OSC and the like begin
with ESC or a C1 control) and those that turn the direction of writing (Unicode TR9, section 2).
Lone surrogates, as in file names that are not UTF-8, cannot be printed.
"""

import json
import re
from typing import Final

_OBEYED: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_REPLACEMENT: Final = "\ufffd"


def visible(text: str) -> str:
    """The text with a replacement character for each that a terminal would obey.

    Newlines and tabs stay.
    """
    return _OBEYED.sub(_REPLACEMENT, text)


def json_text(value: object, indent: int | None = None) -> str:
    """JSON in which the characters that a terminal would obey are escaped."""
    written = json.dumps(value, ensure_ascii=False, indent=indent)
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", written)
