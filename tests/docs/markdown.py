"""Markdown of what the reference is made of: pages, tables, types of JSON schemas."""

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Final, TypeAlias

COMMAND: Final = "python -m tests.docs.reference"
Schema: TypeAlias = Mapping[str, Any]
Row: TypeAlias = Sequence[str]

_BOUNDS: Final = {
    "minimum": " from {}",
    "exclusiveMinimum": " above {}",
    "maximum": " to {}",
    "maxLength": ", {} characters at most",
    "maxItems": ", {} at most",
}


def page(title: str, intro: str, *parts: str) -> str:
    """A whole page."""
    note = f"<!-- Written by `{COMMAND}` from the code. Do not edit. -->"
    return "\n\n".join([f"# {title}", note, intro, *parts]) + "\n"


def table(head: Row, rows: Sequence[Row]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def code(text: str) -> str:
    """As code, and nothing for nothing."""
    return f"`{text}`" if text else ""


def commented(module: ModuleType, values: Sequence[str]) -> list[Row]:
    """Each value of an enumeration with the comment behind it. Raises KeyError for one without."""
    pattern = re.compile(r'"(\w+)",?  # (?:noqa: \w+ - )?(.+)')
    comments = dict(pattern.findall(inspect.getsource(module)))
    return [[code(value), comments[value]] for value in values]


def plain(value: object) -> str:
    """As JSON has it; text without its quotes."""
    return value if isinstance(value, str) and value else json.dumps(value)


def text_of(each: Schema) -> str:
    return " ".join(str(each.get("description", "")).split())


def kind_of(document: Schema, schema: Schema) -> str:
    """The type of a value, with its bounds; a link where it is an object with a heading."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        found = document.get("$defs", document.get("components", {}).get("schemas", {}))[name]
        if "properties" not in found:
            return kind_of(document, found)
        return f"[{name}](#{name.lower()})" if "components" in document else "object"
    if several := schema.get("anyOf") or schema.get("oneOf"):
        kinds = dict.fromkeys(kind_of(document, each) for each in several)
        return " or ".join(kind for kind in kinds if "$defs" not in document or kind != "null")
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(code(plain(value)) for value in values)
    kind = str(schema.get("format", schema.get("type", "anything")))
    kind = {"password": "secret", "uri": "url"}.get(kind, kind)
    if kind == "array":
        kind = f"list of {kind_of(document, schema['items'])}" if "items" in schema else "list"
    bounds = [text.format(_number(schema[key])) for key, text in _BOUNDS.items() if key in schema]
    return kind + "".join(bounds)


def _number(bound: object) -> str:
    return f"{bound:g}" if isinstance(bound, float) else str(bound)
