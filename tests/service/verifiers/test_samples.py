"""Right samples of the kept run in which a false equation is found: 200, all read by hand.

None is true; a second slip undoes the first, or the question asks for a rounded number. Here
another evaluator than the verifier's says so.
"""

import ast
import operator
import re
from fractions import Fraction

from glore.verifiers.ports import Finding
from tests.service.verifiers.figures import right_and_refuted

DRAWN = 200
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def value(text: str) -> Fraction:
    """What Python makes of an expression in the student's notation."""
    text = (
        re.sub(r"÷([0-9]+/[0-9]+)", r"/(\1)", text)
        .replace("÷", "/")
        .replace("\N{MULTIPLICATION SIGN}", "*")
    )
    text = re.sub(r"\bx\b|(?<=[0-9])x(?=[0-9])", "*", text)
    text = re.sub(r"(?:per|/)?\s*[a-zA-Z]+(?:/[a-zA-Z]+)?", "", re.sub(r"[£€$,]", "", text))
    return walk(ast.parse(text.replace("%", "/100").strip(), mode="eval").body)


def walk(node: ast.expr) -> Fraction:
    match node:
        case ast.BinOp(left, kind, right):
            return Fraction(OPERATORS[type(kind)](walk(left), walk(right)))
        case ast.Call(left, [right]):  # 2(3 + 4)
            return walk(left) * walk(right)
        case ast.UnaryOp(ast.USub(), operand):
            return -walk(operand)
        case ast.Constant(int() | float() as number):
            return Fraction(str(number))
    raise AssertionError(ast.dump(node))


def is_false(finding: Finding) -> bool:
    """Whether no rounding to the digits shown makes the claim true."""
    digits = finding.claimed.rstrip("%").partition(".")[2]
    index = Fraction(1, 10 ** len(digits)) / (100 if finding.claimed.endswith("%") else 1)
    if "/" in finding.claimed:
        index = Fraction(0)
    difference = abs(value(finding.expression) - value(finding.claimed))
    return difference > 0 and difference >= index


def test_none_of_the_equations_found_false_is_true() -> None:
    drawn = list(right_and_refuted(DRAWN))
    assert len(drawn) == DRAWN
    wrong = [finding for _, found in drawn for finding in found if not is_false(finding)]
    assert wrong == []
