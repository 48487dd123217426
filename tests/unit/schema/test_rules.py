from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from wardgan.errors import SchemaError
from wardgan.schema.rules import Rule

A, B = np.array([1.0, 2.0, 3.0, np.nan]), np.array([2.0, 2.0, 2.0, 2.0])


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("a < b", [False, True, True, False]),
        ("a <= b", [False, False, True, False]),
        ("a > b", [True, True, False, False]),
        ("a >= b", [True, False, False, False]),
        ("a == b", [True, False, True, False]),
        ("a != b", [False, True, False, False]),
        ("not a < b", [True, False, False, False]),
        ("a < b or a > 2.5", [False, True, False, False]),
        ("a > 1 and a < 3", [True, False, True, False]),
        ("1 < a < 3", [True, False, True, False]),
        ("a + b * 2 - 1 < 6", [False, False, True, False]),
        ("a + b * 2 - 1 < 5", [False, True, True, False]),
        ("-a < -1", [True, False, False, False]),
        (" a < b ", [False, True, True, False]),
        ("a < 2 or 2 < 1", [False, True, True, False]),
        ("a * 1e60 * 1e60 * 1e99 * 1e99 < 1", [True, True, True, False]),
    ],
)
def test_a_rule_says_which_rows_break_it(text, broken):
    rule = Rule.parse(text)
    assert_array_equal(rule.broken({"a": A, "b": B}), broken)
    wide = {"a": A.reshape(2, 2), "b": B.reshape(2, 2)}
    assert_array_equal(rule.broken(wide), np.reshape(broken, (2, 2)))


def test_columns_of_different_shapes_are_joined():
    rule = Rule.parse("a < b")
    assert rule.names == ("a", "b")
    found = rule.broken({"a": np.array([[1.0, 5.0], [np.nan, 0.0]]), "b": np.array([[3.0], [np.nan]])})
    assert_array_equal(found, [[False, True], [False, False]])


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "a < ", "a <", "1 < 2", "a = b", "a if a else b", "a < 'x'", "a < True", "a < None", "a < 1j",
        "a / b < 1", "a ** 9 < 1", "abs(a) < 1", "a.b < 1", "a[0] < 1", "a in b", "a is b", "lambda: a", "~a < 1",
        "__import__('os') < a", "a < 10**400", "a < 1e999", "a < " + "9" * 400, "+a < 1", "[a] < 1", "a\x00 < 1",
        "a < b; a < b", "not " * 120 + "a", "(" * 300 + "a" + ")" * 300 + " < 1", "a" + " < a" * 200,
        "a < b # c\nb < a", None, 3, ["a < b"],
    ],
)  # fmt: skip
def test_what_is_no_comparison_is_refused(text):
    with pytest.raises(SchemaError, match=r"^rules: "):
        Rule.parse(text)
