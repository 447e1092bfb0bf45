"""Every regular expression of the packages, and texts that would be slow for a careless one.

The patterns are found in the syntax trees of the packages, so a new one is found too. The texts
are made of a pattern's own literals and classes, pumped: what is quadratic is slow on some of them.
"""

import ast
import importlib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# how `re` reads a pattern: not documented, and without types
tokens: Any = importlib.import_module("re._constants")
parser: Any = importlib.import_module("re._parser")
compiler: Any = importlib.import_module("re._compiler")

ROOT = Path(__file__).parents[1]
PACKAGES = ("service/src", "models/src", "loadtest", "clients/python/src")
_CALLS = {"compile", "search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer"}
_CLASSES = "a0 \n\t_-.,:;$#*/\\'\"()[]{}<>|@é²\u2028\ue000"  # a character of each kind
_OF_A_BRANCH = 8  # alternatives tried, of lists of words
_RUN_TIMES = 3  # how often a repeated part stands in a witness, at most


@dataclass(frozen=True, slots=True)
class Found:
    """A pattern, where it stands, and the methods it is used with."""

    where: str
    pattern: re.Pattern[Any]
    methods: frozenset[str]


def compiled(made_at_run_time: dict[str, Callable[[], re.Pattern[str]]]) -> list[Found]:
    """All patterns; those that only exist in an object come from `made_at_run_time`, by place.

    Raises NameError, naming the place, for one that is neither in a module nor made there.
    """
    found: list[Found] = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            calls = [node for node in ast.walk(tree) if _is_of_re(node)]
            if not calls:
                continue
            relative = path.relative_to(ROOT / package if "/" in package else ROOT)
            module = importlib.import_module(".".join(relative.with_suffix("").parts))
            found.extend(
                _found(call, tree, vars(module), relative, made_at_run_time) for call in calls
            )
    return found


def _is_of_re(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in _CALLS
    )


def _found(
    call: Any,
    tree: ast.Module,
    names: dict[str, Any],
    path: Path,
    made_at_run_time: dict[str, Callable[[], re.Pattern[str]]],
) -> Found:
    where = f"{path}:{call.lineno}"
    method = call.func.attr
    created = made_at_run_time.get(str(path))
    if method != "compile":
        pattern = re.compile(_value(call.args[0], names, where))
        return Found(where, pattern, frozenset({method}))
    name = _assigned(call, tree)
    pattern = created() if created else _value(call, names, where)
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and _last_name(node.value) == name
    }
    # one that is used in another module is tried in every way
    return Found(where, pattern, frozenset(used & _CALLS or _CALLS - {"compile"}))


def _value(node: ast.expr, names: dict[str, Any], where: str) -> Any:
    try:
        return eval(compile(ast.Expression(node), where, "eval"), names)  # noqa: S307 - our code
    except NameError as error:
        message = f"{where}: a pattern made at run time; say how in the test ({error})"
        raise NameError(message) from error


def _assigned(call: ast.Call, tree: ast.Module) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and node.value is call:
            return _last_name(node.targets[0])
        if isinstance(node, ast.AnnAssign) and node.value is call:
            return _last_name(node.target)
    return ""


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


@dataclass(frozen=True, slots=True)
class Pumped:
    """A text: a piece repeated, behind a beginning, before an end."""

    begin: str
    piece: str
    end: str

    def of(self, size: int) -> str:
        """The text with about so many characters."""
        return self.begin + self.piece * max(1, size // len(self.piece)) + self.end


def pumped(pieces: Iterable[str]) -> list[Pumped]:
    """Each piece and class repeated: alone, behind each piece, and a piece with each class."""
    different = list(dict.fromkeys([*pieces, *_CLASSES]))
    begins = [piece for piece in different if piece not in _CLASSES]
    return [
        *alone(different),
        *(Pumped(begin, piece, "!") for begin in begins for piece in different),
        *(Pumped("", begin + char, "") for begin in begins for char in _CLASSES),
    ]


def alone(pieces: Iterable[str]) -> list[Pumped]:
    """Each piece and class repeated."""
    different = dict.fromkeys([*pieces, *_CLASSES])
    return [Pumped("", piece, end) for piece in different for end in ("", "!", "\n", "a")]


def pieces_of(pattern: re.Pattern[Any]) -> Iterator[str]:
    """Texts that parts of the pattern match, and beginnings of what all of it matches."""
    yield from _pieces(parser.parse(pattern.pattern, pattern.flags & re.VERBOSE))


def _pieces(parsed: Any) -> Iterator[str]:
    """A text for each part of a pattern, and for each beginning of a sequence of parts."""
    whole = ""
    for literal, group in itertools.groupby(parsed, lambda part: part[0] is tokens.LITERAL):
        if literal:
            word = "".join(chr(value) for _, value in group)
            yield from (word[0], word, whole := whole + word)
            continue
        for token, value in group:
            for inner in _inner(token, value)[:_OF_A_BRANCH]:
                yield from _pieces(inner)
            text = _witness(token, value)
            yield from filter(None, [text, whole := whole + text])


def _inner(token: Any, value: Any) -> list[Any]:
    if token is tokens.BRANCH:
        return list(value[1])
    if token in {tokens.SUBPATTERN, tokens.ASSERT, tokens.ASSERT_NOT}:
        return [value[-1]]
    if token in {tokens.MAX_REPEAT, tokens.MIN_REPEAT, tokens.POSSESSIVE_REPEAT}:
        return [value[2]]
    return [value] if token is tokens.ATOMIC_GROUP else []


def _witness(token: Any, value: Any) -> str:
    """A short text that this part of a pattern matches; none for what matches no character."""
    if token in {tokens.LITERAL, tokens.ANY}:
        return chr(value) if token is tokens.LITERAL else "a"
    if token in {tokens.IN, tokens.NOT_LITERAL, tokens.CATEGORY}:
        return _of_class(token, value)
    if token in {tokens.ASSERT, tokens.ASSERT_NOT, tokens.AT}:
        return ""
    inner = _inner(token, value)
    text = "".join(_witness(*part) for part in inner[0]) if inner else ""
    if token in {tokens.MAX_REPEAT, tokens.MIN_REPEAT, tokens.POSSESSIVE_REPEAT}:
        return text * max(1, min(_RUN_TIMES, int(value[0])))
    return text


def _of_class(token: Any, value: Any) -> str:
    """A character that the class has."""
    part = parser.SubPattern(parser.State(), [(token, value)])
    single: re.Pattern[str] = compiler.compile(part)
    every = itertools.chain(_CLASSES, map(chr, range(0x3000)))
    return next((char for char in every if single.fullmatch(char)), "")
