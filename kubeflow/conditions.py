"""Conditions of tasks, in the part of CEL that TFX's and Kubeflow's compilers write.

The cluster evaluates them with cel-go (backend/src/v2/expression/expression.go): comparisons,
`&&`, `||`, `!`, indexing and fields of `inputs`, literals.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

_WORDS = {"&&": " and ", "||": " or ", "!": " not "}
_TOKENS = re.compile(
    r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(&&)|(\|\|)|(!(?!=))|\b(true|false)\b"""
)
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
# In CEL, fields of messages have their proto names, and a parameter's value is a message.
_FIELDS = {"parameter_values": "parameterValues"}
_VALUES = ("string_value", "number_value", "bool_value")


def holds(condition: str, inputs: Mapping[str, Any]) -> bool:
    """Tells whether a task is to run.

    Args:
        condition: CEL.
        inputs: the task's ExecutorInput.Inputs as JSON.

    Raises:
        ValueError: the condition is none that the compilers write, or its result is not a bool.
    """
    try:
        tree = ast.parse(_TOKENS.sub(_python, condition).strip(), mode="eval")
        result = _value(tree.body, {"inputs": inputs})
    except (SyntaxError, KeyError, IndexError, TypeError) as error:
        raise ValueError(f"condition {condition}: {error!r}") from error
    if not isinstance(result, bool):
        raise ValueError(f"condition {condition}: found {result!r}; allowed: true or false")
    return result


def _python(match: re.Match[str]) -> str:
    token = match.group(0)
    return match.group(1) or _WORDS.get(token) or token.capitalize()


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:  # noqa: PLR0911, one a kind of node
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.Attribute):
        owner = _value(node.value, names)
        return owner if node.attr in _VALUES else owner[_FIELDS.get(node.attr, node.attr)]
    if isinstance(node, ast.Subscript):
        return _value(node.value, names)[_value(node.slice, names)]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return not _value(node.operand, names)
    if isinstance(node, ast.BoolOp):
        combine = all if isinstance(node.op, ast.And) else any
        return combine(_value(part, names) for part in node.values)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        compare = _COMPARE[type(node.ops[0])]
        return compare(_value(node.left, names), _value(node.comparators[0], names))
    raise ValueError(f"not understood: {ast.unparse(node)}")
