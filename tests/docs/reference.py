"""The pages of docs/reference, written from the code: `python -m tests.docs.reference`.

Settings come from `glore.settings`, metrics from the registry of a gateway, HTTP from its OpenAPI
document, errors from `glore.errors`, commands from typer, licences from the
installed packages.
"""

import asyncio
import inspect
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, get_args

import typer
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, SecretStr

from glore.app import create_app
from glore.cli import main
from glore.commands.errors import DEGRADED, INTERRUPTED
from glore.engines import breaker, ports, readiness
from glore.errors import ProblemError
from glore.refinement import types
from glore.refinement.types import DegradedReason
from glore.role_settings import ROLES
from glore.settings import Settings
from glore.variables import DELIMITER, OTHERS, PREFIX
from tests.docs.licences import licences
from tests.docs.markdown import Row, Schema, code, commented, kind_of, page, plain, table, text_of
from tests.docs.pages import ROOT
from tests.service.fakes import FakeEngines

FOLDER: Final = ROOT / "docs" / "reference"

# The first setting of each section of settings.md.
_SECTIONS: Final = {
    "generation": "Engines and models",
    "host": "Process",
    "thresholds_file": "Algorithm",
    "max_deadline": "Limits",
    "feedback_remembered": "Feedback",
    "drain_delay": "Shutdown",
    "max_batches": "Batches",
    "api_keys": "Keys, rates, origins",
}


# --- settings ----------------------------------------------------------------------------


def settings() -> str:
    """Every setting, its default and its bounds."""
    schema = Settings.model_json_schema()
    defaults = Settings()
    sections: dict[str, list[Row]] = {}
    rows: list[Row] = []
    for name, info in Settings.model_fields.items():
        if name in _SECTIONS:
            rows = sections[_SECTIONS[name]] = []
        assert info.description, f"{name} has no description"
        rows += _setting(schema, name, info.description, getattr(defaults, name))
    parts = [
        f"## {title}\n\n{table(('Variable', 'Value', 'Default', 'What it sets'), rows)}"
        for title, rows in sections.items()
    ]
    others = table(("Variable", "What it sets"), [[code(k), v] for k, v in OTHERS.items()])
    return page(
        "Settings",
        "Every setting is an environment variable. A setting of `glore serve` ends the start where "
        "its value is wrong, and the message names the variable. `<ROLE>` is "
        f"{', '.join(f'`{role.upper()}`' for role in ROLES[:-1])} or `{ROLES[-1].upper()}`.",
        *parts,
        "## Read by commands",
        others,
    )


def _setting(schema: Schema, name: str, description: str, default: object) -> Iterator[Row]:
    """The rows of a setting: one, or one for each field of an engine."""
    variable = f"{PREFIX}{name.upper()}"
    if not isinstance(default, BaseModel):
        kind = kind_of(schema, schema["properties"][name])
        shown = "" if name == "thresholds_file" else _default(default)
        yield [code(variable), kind, code(shown), description]
        return
    definition = schema["$defs"][type(default).__name__]
    if definition["properties"].keys() != set(ROLES):
        for field, each in definition["properties"].items():
            value = code(_default(getattr(default, field)))
            text = f"{description} {each['description']}" if field == "url" else each["description"]
            yield [
                code(f"{variable}{DELIMITER}{field.upper()}"),
                kind_of(schema, each),
                value,
                text,
            ]
        return
    of_role = f"{variable}{DELIMITER}<ROLE>"
    kinds = {kind_of(schema, each) for each in definition["properties"].values()}
    if kinds == {"object"}:
        of_role, kinds = f"{of_role}{DELIMITER}URL", {"url"}
    named = any(_default(getattr(default, role)) for role in ROLES)
    shown = "the role in lower case" if named else ""
    yield [code(of_role), kinds.pop() if len(kinds) == 1 else "a family", shown, description]


def _default(value: object) -> str:
    match value:
        case None | BaseModel():
            return ""
        case tuple():
            return ",".join(str(each) for each in value)
        case float():
            return f"{value:g}"
        case _:
            return str(value)


# --- metrics -----------------------------------------------------------------------------


def metrics() -> str:
    """Every metric of a gateway: name, type, labels, meaning."""
    rows = []
    for collector in asyncio.run(_registry())._collector_to_names:
        for family in collector.collect():
            if family.name.startswith("glore_"):
                labels = getattr(collector, "_labelnames", getattr(family, "_labelnames", ()))
                name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
                names = ", ".join(code(label) for label in labels)
                rows.append([code(name), family.type, names, family.documentation])
    return page(
        "Metrics",
        "`GET /metrics` has these in the text format of Prometheus, or as OpenMetrics where the "
        "Accept header asks for it. `process_*` and `python_info` are those of every Python "
        "process.",
        table(("Metric", "Type", "Labels", "What it measures"), sorted(rows)),
        "No label holds anything that a client sends. `route` is the path template, `unmatched` "
        "where there is none. `strategy` is `none` where the request has none. `role` is "
        f"{', '.join(code(role) for role in ROLES)}.",
    )


async def _registry() -> CollectorRegistry:
    """That of a gateway which runs."""
    gateway = app()
    async with gateway.router.lifespan_context(gateway):
        registry: CollectorRegistry = gateway.state.context.metrics.registry
        return registry


# --- HTTP --------------------------------------------------------------------------------


def http() -> str:
    """Every endpoint with its parameters, bodies, events and objects."""
    document = app().openapi()
    listed = [
        (path, method, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method != "head"
    ]
    overview = [
        [f"[`{method.upper()} {path}`](#{_anchor(method, path)})", operation["summary"]]
        for path, method, operation in listed
    ]
    parts = [table(("Endpoint", "What it does"), overview)]
    for path, method, operation in listed:
        parts += _operation(document, path, method, operation)
    parts.append("## Objects")
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts += _object(document, name, schema)
    reasons = [reason.value for reason in types.SelectionReason]
    states = [state.value for state in readiness.EngineState]
    circuits = [circuit.value for circuit in breaker.Circuit]
    parts += [
        "## Words in answers",
        "`selected.reason` says why a candidate was selected:",
        table(("Reason", "Meaning"), commented(types, reasons)),
        "`engines` of `/readyz` says what state each engine is in:",
        table(("State", "Meaning"), commented(readiness, states)),
        "`circuits` of `/readyz` names roles whose circuit is not closed:",
        table(("Circuit", "Meaning"), commented(breaker, circuits)),
    ]
    return page(
        "HTTP",
        "The same as the gateway's `/openapi.json`, with the default limits. `/docs` of a gateway "
        "shows it with the gateway's own. HEAD is answered wherever GET is. Every response has "
        "`X-Request-ID`: the request's own, or a new one. [errors.md](errors.md) lists all errors.",
        *parts,
    )


def app() -> FastAPI:
    """A gateway with the default settings, apart from any models."""
    settings = Settings(thresholds_file=None, store=SecretStr("off"))
    return create_app(settings, connect=FakeEngines().connect)


def _anchor(method: str, path: str) -> str:
    return f"{method}-{re.sub(r'[^a-z0-9_-]', '', path)}"


def _operation(document: Schema, path: str, method: str, operation: Schema) -> Iterator[str]:
    yield f"## {method.upper()} {path}"
    yield text_of(operation)
    if parameters := operation.get("parameters", []):
        rows = [
            [code(each["name"]), each["in"], kind_of(document, each["schema"]), text_of(each)]
            for each in parameters
        ]
        yield table(("Parameter", "In", "Type", "Meaning"), rows)
    if body := operation.get("requestBody", {}).get("content", {}):
        yield f"Body: {_contents(document, body)}."
    rows = [
        [
            status,
            response["description"].replace("Successful Response", "Success"),
            _contents(document, response.get("content", {})),
        ]
        for status, response in sorted(operation["responses"].items())
    ]
    yield table(("Status", "Meaning", "Body"), rows)
    for content in operation["responses"]["200"].get("content", {}).values():
        if events := content.get("itemSchema", {}).get("oneOf"):
            yield from _events(document, events)


def _contents(document: Schema, contents: Schema) -> str:
    """Each media type and what it holds."""
    found = []
    for media_type, content in contents.items():
        schema = content.get("schema") or content.get("itemSchema", {})
        kind = "events" if "oneOf" in schema else kind_of(document, schema)
        found.append(f"`{media_type}`" if kind == "string" else f"`{media_type}`: {kind}")
    return "; ".join(found)


def _events(document: Schema, events: Sequence[Schema]) -> Iterator[str]:
    rows = [
        [code(each["properties"]["event"]["const"]), kind_of(document, data["contentSchema"])]
        for each in events
        if "event" in each["properties"] and (data := each["properties"]["data"])
    ]
    if rows:
        yield table(("Event", "Data"), rows)


def _object(document: Schema, name: str, schema: Schema) -> Iterator[str]:
    """A heading, what it is, its fields; nothing for what has no fields."""
    if "properties" not in schema:
        return
    yield f"### {name}"
    if about := text_of(schema):
        yield about
    required = schema.get("required", ())
    rows = []
    for field, each in schema["properties"].items():
        said = [text_of(each)] if text_of(each) else []
        if each.get("default") is not None:
            said.append(f"Default: `{plain(each['default'])}`.")
        elif field not in required:
            said.append("Optional.")
        rows.append([code(field), kind_of(document, each), " ".join(said)])
    yield table(("Field", "Type", "Meaning"), rows)


# --- errors ------------------------------------------------------------------------------


def errors() -> str:
    """Every problem, every reason in `degraded`, every exit status."""
    found = sorted(ProblemError.__subclasses__(), key=lambda each: (each.status, each.slug))
    rows = [
        [
            str(each.status),
            code(f"/problems/{each.slug}"),
            each.title,
            " ".join((each.__doc__ or "").split()),
            "yes" if _waits(each) else "",
        ]
        for each in found
    ]
    faults = commented(ports, get_args(ports.FaultReason))
    caps = commented(types, [reason.value for reason in DegradedReason])
    ends = [
        ["0", "It was done. For `glore status`: the gateway is ready."],
        ["1", "It could not be done. For `glore status`: the gateway is not ready."],
        ["2", "An argument or a setting is wrong."],
        [str(DEGRADED), "Not now; the same may work later. For `glore status`: an engine is away."],
        [str(INTERRUPTED), "`glore ask` was interrupted (Ctrl-C)."],
    ]
    return page(
        "Errors",
        "An error is a problem (RFC 9457, `application/problem+json`) with `type`, `title`, "
        "`status`, `detail`, `request_id`; with 422 also `errors`, one for each field. "
        "[http.md](http.md#problem) has the fields. On `/v1/...` an error has "
        "[OpenAI's shape](../guides/openai.md#errors).",
        "## Problems",
        table(("Status", "Type", "Title", "When", "Retry-After"), rows),
        "Other statuses have the phrase of HTTP as their type: 400 `bad-request`, 404 `not-found`, "
        "405 `method-not-allowed`. A fault of the gateway itself is 500 `internal-error`. A "
        "problem with Retry-After has the same number in `retry_after`.",
        "## Reasons in `degraded`",
        "A stage that fails costs its candidate or its scores, never the answer. `degraded` names "
        "the stage and one of these reasons. Log lines and metrics of engines use them too.",
        table(("Reason", "Meaning"), [*faults, *caps]),
        "## Exit statuses",
        table(("Status", "Meaning"), ends),
    )


def _waits(error: type[ProblemError]) -> bool:
    named = "retry_after" in inspect.signature(error.__init__).parameters
    return named or "Retry-After" in error.headers


# --- commands ----------------------------------------------------------------------------


def cli() -> str:
    """Every command with its arguments and options."""
    group: Any = typer.main.get_command(main)
    rows = [
        [f"[`glore {name}`](#glore-{name})", command.help.partition("\n")[0]]
        for name, command in sorted(group.commands.items())
    ]
    parts = [table(("Command", "What it does"), rows)]
    for name, command in sorted(group.commands.items()):
        parts.append(f"## glore {name}")
        parts += [" ".join(part.split()) for part in command.help.split("\n\n")]
        options = [_option(each) for each in command.params if each.name != "help"]
        parts.append(table(("Argument or option", "Value", "Default", "Meaning"), options))
    return page(
        "Commands",
        "`glore up`, `glore train` and `glore eval` come with glore-models. `glore COMMAND --help` "
        "shows the same. [Exit statuses](errors.md#exit-statuses).",
        *parts,
    )


def _option(each: Any) -> Row:
    names = [*each.opts, *getattr(each, "secondary_opts", ())]
    said = [each.help or ""]
    if each.envvar:
        said.append(f"`{each.envvar}` sets it too.")
    default = _default(each.default) if not callable(each.default) else ""
    if getattr(each, "is_flag", False):
        default = {"True": names[0], "False": ""}[default] if len(names) > 1 else ""
    kind = "" if getattr(each, "is_flag", False) else each.type_descriptor.annotation.__name__
    low, high = getattr(each, "min", None), getattr(each, "max", None)
    bounds = "" if low is None else f" from {low:g}"
    bounds += "" if high is None else f" to {high:g}"
    kind = {"str": "text", "Path": "path", "int": "integer", "float": "number"}.get(kind, kind)
    name = " / ".join(code(name) for name in names)
    return [name, kind + bounds, code(default), " ".join(filter(None, said))]


PAGES: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "settings.md": settings,
        "metrics.md": metrics,
        "http.md": http,
        "errors.md": errors,
        "cli.md": cli,
        "licences.md": licences,
    }
)


def write() -> None:
    """Write all pages, whatever is set in this shell."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    FOLDER.mkdir(exist_ok=True)
    for name, created in PAGES.items():
        (FOLDER / name).write_text(created(), encoding="utf-8")


if __name__ == "__main__":
    write()
