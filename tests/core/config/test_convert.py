"""Strict text to typed values: exact, or an error that says what was needed."""

from pathlib import Path
from typing import Literal

import pytest

from diffx_core.config import convert, type_name

GOOD = [
    ("true", bool, True),
    ("False", bool, False),
    (True, bool, True),
    ("-3", int, -3),
    ("007", int, 7),
    (5, int, 5),
    ("1e-4", float, 1e-4),
    ("-.5", float, -0.5),
    (5, float, 5.0),
    ("1e5", str, "1e5"),
    ("1.10", str, "1.10"),
    ("a#b", str, "a#b"),
    ("None", str, "None"),
    ("None", str | None, None),
    ("null", int | None, None),
    ("7", int | None, 7),
    ("none", float | None, None),
    ("x0", Literal["eps", "x0"], "x0"),
    ("2", Literal[1, 2], 2),
    ("1,2,4", tuple[int, ...], (1, 2, 4)),
    ("[1, 2, 4]", tuple[int, ...], (1, 2, 4)),
    ("", tuple[int, ...], ()),
    ("3", tuple[int, ...], (3,)),
    ([1, 2], list[float], [1.0, 2.0]),
    ("0.1,20", tuple[float, float], (0.1, 20.0)),
    ("2.5", int | float, 2.5),
    ("auto", float | Literal["auto"], "auto"),
    ("a/b", Path, Path("a/b")),
]

BAD = [
    ("yes", bool, "true or false"),
    ("1", bool, "true or false"),
    (1, bool, "true or false"),
    ("20.7", int, "whole number"),
    ("1_000", int, "whole number"),
    ("0x10", int, "whole number"),
    ("1e5", int, "whole number"),
    ("٣", int, "whole number"),
    (True, int, "whole number"),
    (5.0, int, "whole number"),
    ("9" * 5000, int, "whole number"),
    ("nan", float, "finite"),
    ("-inf", float, "finite"),
    ("1e999", float, "finite"),
    (10**400, float, "finite"),
    ("1j", float, "a number"),
    (False, float, "a number"),
    (1.1, str, "quotes"),
    (None, int, "whole number"),
    ("None", int, "whole number"),
    ("epsilon", Literal["eps", "x0"], "one of eps, x0"),
    ("1,,2", tuple[int, ...], "whole number"),
    ("(1,)", tuple[int, ...], "whole number"),
    ("1,2,3", tuple[int, int], "needs 2 values, not 3"),
    (3, tuple[int, ...], "a list"),
    ("x", int | float, "int or float"),
    ("[" * 5000, tuple[int, ...], "whole number"),
    ("", Path, "a path"),
    ("{}", dict[str, int], "cannot read"),
]


@pytest.mark.parametrize(("value", "annotation", "expected"), GOOD, ids=lambda one: str(one)[:30])
def test_an_exact_value_is_taken(value, annotation, expected):
    result = convert(value, annotation)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(("value", "annotation", "reason"), BAD, ids=lambda one: str(one)[:30])
def test_any_other_value_is_an_error(value, annotation, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        convert(value, annotation)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (int, "int"),
        (float | None, "float or none"),
        (Literal["a", "b"], "a|b"),
        (tuple[int, ...], "int,..."),
        (tuple[float, float], "float,float"),
        (list[str], "str,..."),
        (Path, "path"),
    ],
    ids=str,
)
def test_a_type_has_a_readable_name(annotation, name):
    assert type_name(annotation) == name
