"""Modules and functions of the library stay small enough to be held in mind."""

import ast

import pytest

from seran_lib.paths import ROOT

LONGEST_MODULE, LONGEST_FUNCTION, MOST_PARAMETERS = 350, 60, 8


def parameters(function):
    """How many values a caller may give; `self` is not one."""
    names = [each.arg for each in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def too_large(source):
    """What of a module is more than a reader holds in mind."""
    if (lines := len(source.splitlines())) > LONGEST_MODULE:
        yield f"{lines} lines"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            if (lines := node.end_lineno - node.lineno + 1) > LONGEST_FUNCTION:
                yield f"{node.name} has {lines} lines"
            if (count := parameters(node)) > MOST_PARAMETERS:
                yield f"{node.name} has {count} parameters"
        elif isinstance(node, ast.alias) and node.name == "TYPE_CHECKING":
            yield "TYPE_CHECKING hides a circle of imports"


def test_modules_and_functions_are_small():
    found = {
        path.relative_to(ROOT): list(too_large(path.read_text("utf-8")))
        for path in sorted((ROOT / "seran_lib").rglob("*.py"))
    }
    assert {str(path): problems for path, problems in found.items() if problems} == {}


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("x = 1\n" * 351, "351 lines"),
        ("def f():\n" + "    x = 1\n" * 60, "f has 61 lines"),
        ("def f(self, a, b, c, d, e, *, f, g, h, i): ...", "f has 9 parameters"),
        ("from typing import TYPE_CHECKING", "TYPE_CHECKING hides a circle of imports"),
    ],
)
def test_what_is_too_large_is_found(source, problem):
    assert list(too_large(source)) == [problem]
    assert list(too_large("def f(self, a, b, c, d, e, *, f, g, h): ...")) == []
