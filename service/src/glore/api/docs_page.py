"""`GET /docs`: the OpenAPI document as one plain page, made here and without a script.

Nothing in it comes from elsewhere, so it works without the Internet, tells nobody who reads it,
and a browser is told to load nothing.
"""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final, TypeAlias

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

PATH: Final = "/docs"
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Referrer-Policy": "no-referrer",
}
_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { border-top: 1px solid #8884; padding-top: 1.5rem; }
code, pre { font: 14px/1.4 ui-monospace, monospace; }
pre { overflow-x: auto; background: #8881; padding: .7rem; }
table { border-collapse: collapse; width: 100%; }
td { border-top: 1px solid #8884; padding: .3rem .8rem .3rem 0; vertical-align: top; }
summary { cursor: pointer; }
:root { color-scheme: light dark; }
"""
_LIMITS: Final = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "minLength": "characters: at least",
    "maxLength": "characters: at most",
    "minItems": "items: at least",
    "maxItems": "items: at most",
    "default": "default",
}
_Schema: TypeAlias = Mapping[str, Any]

router = APIRouter()


@router.get(PATH, include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """The page, for people."""
    return HTMLResponse(page(request.app.openapi()), headers=_HEADERS)


def page(document: _Schema) -> str:
    """An OpenAPI document as HTML."""
    info = document["info"]
    head = f"{escape(info['title'])} {escape(info['version'])}"
    listed = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method != "head"  # says what GET says
    ]
    operations = [_operation(document, m, p, o) for p, m, o in listed]
    links = "".join(
        f'<li><a href="#{escape(o["operationId"])}"><code>{m.upper()} {escape(p)}</code></a> '
        f"{escape(o['summary'])}</li>"
        for p, m, o in listed
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{head}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{head}</h1>"
        f"<p>{escape(info['description'])}</p>"
        f'<p>The same for programs: <a href="openapi.json">openapi.json</a></p>'
        f"<ul>{links}</ul>{''.join(operations)}</body></html>"
    )


def _operation(document: _Schema, method: str, path: str, operation: _Schema) -> str:
    """One method of one path: what it is for, what it takes, what it gives."""
    anchor, name = escape(operation["operationId"]), f"{method.upper()} {escape(path)}"
    parts = [
        f'<h2 id="{anchor}"><code>{name}</code></h2>',
        f"<p><strong>{escape(operation['summary'])}.</strong> ",
        f"{escape(operation.get('description', ''))}</p>",
    ]
    parameters = operation.get("parameters", [])
    if parameters:
        rows = [
            _row(document, each["name"], each["schema"] | _described(each), each.get("required"))
            for each in parameters
        ]
        parts.append(f"<h3>Parameters</h3><table>{''.join(rows)}</table>")
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<h3>Body: <code>{escape(media_type)}</code></h3>")
        parts.append(_content(document, content))
    for status, response in operation["responses"].items():
        parts.append(f"<h3>{escape(status)}: {escape(response['description'])}</h3>")
        for media_type, content in response.get("content", {}).items():
            parts.append(f"<p><code>{escape(media_type)}</code></p>{_content(document, content)}")
    return "".join(parts)


def _described(each: _Schema) -> dict[str, Any]:
    return {"description": each["description"]} if "description" in each else {}


def _content(document: _Schema, content: _Schema) -> str:
    """The fields of a body, and its examples, folded away."""
    item = content.get("itemSchema", {})  # of a stream
    named = [*_named(document, content.get("schema", {})), *_named(document, item)]
    for event in item.get("oneOf", ()):
        fields = event["properties"]
        for _, schema in _named(document, fields["data"]["contentSchema"]):
            named.append((fields["event"]["const"], schema))
    tables = [
        f"<details><summary>{escape(name)}</summary>"
        f"<table>{_fields(document, schema)}</table></details>"
        for name, schema in named
    ]
    examples = [each["value"] for each in content.get("examples", {}).values()]
    examples += [content["example"]] if "example" in content else []
    shown = [
        f"<details><summary>Example</summary><pre>{escape(_text(each))}</pre></details>"
        for each in examples
    ]
    return "".join([*tables, *shown])


def _text(example: object) -> str:
    return example if isinstance(example, str) else json.dumps(example, indent=2)


def _named(document: _Schema, schema: _Schema) -> Iterator[tuple[str, _Schema]]:
    """The objects with a name that a schema is made of, each with its own fields."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield name, document["components"]["schemas"][name]
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _named(document, each)


def _fields(document: _Schema, schema: _Schema, before: str = "") -> str:
    """A row for each field, those of the objects in it below it."""
    rows = []
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        rows.append(_row(document, f"{before}{name}", field, name in required))
        inner = [field, field.get("items", {}), *field.get("anyOf", ())]
        for each in inner:
            for _, found in _named(document, {"$ref": each["$ref"]} if "$ref" in each else {}):
                dots = "[]." if each is field.get("items") else "."
                rows.append(_fields(document, found, f"{before}{name}{dots}"))
    return "".join(rows)


def _row(document: _Schema, name: str, schema: _Schema, required: bool | None) -> str:
    """Name, kind, and all that is notes of one field."""
    notes = [] if required else ["optional"]
    notes += [f"{word} {json.dumps(schema[key])}" for key, word in _LIMITS.items() if key in schema]
    text = escape(schema.get("description", ""))
    return (
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(_kind(document, schema))}</td>"
        f"<td>{text} <em>{escape('; '.join(notes))}</em></td></tr>"
    )


def _kind(document: _Schema, schema: _Schema) -> str:
    """The type of a field in a word or two."""
    if "$ref" in schema:
        return _kind(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(document, each) for each in schema["anyOf"]))
    for key in ("enum", "const"):
        if key in schema:
            values = schema[key] if key == "enum" else [schema[key]]
            return ", ".join(json.dumps(value) for value in values)
    if schema.get("type") == "array":
        return f"list of {_kind(document, schema.get('items', {}))}"
    return str(schema.get("type", "anything"))
