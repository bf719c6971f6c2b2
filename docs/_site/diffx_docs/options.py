"""Options as a table: from the declarations that flags, files and help are made of."""

import re
from collections.abc import Iterator

import attrs

from diffx_core.config import REQUIRED, Option, flag, options_of, type_name, written
from diffx_docs.markdown import code, plain, table

BOUND = re.compile(r"<Validator for x (\S+) ([^>]+)>")
SIGNS = {">=": "≥", "<=": "≤", ">": ">", "<": "<"}
HEAD = ("option", "what it can be", "default", "what it is")


def option_table(target: type, prefix: str) -> str:
    """The options of a class; none are said to be none."""
    rows = list(_rows(target, prefix))
    return table(HEAD, rows) if rows else "It has no options.\n"


def _rows(target: type, prefix: str) -> Iterator[tuple[str, ...]]:
    bounds = _bounds(target)
    for one in options_of(target):
        shown = type_name(one.type).replace("|", " | ")
        bounded = ", ".join(filter(None, (shown, bounds.get(one.name, ""))))
        yield code(flag(prefix + one.name)), bounded, _default(one), plain(one.help)


def _default(option: Option) -> str:
    if option.default is REQUIRED:
        return "required"
    if option.default is None or option.default == ():
        return "none"
    return code(written(option.default))


def _bounds(target: type) -> dict[str, str]:
    """The checks of numbers, which attrs tells by the text of a validator."""
    if not attrs.has(target):
        return {}
    told = {one.metadata.get("name", one.alias): one.validator for one in attrs.fields(target)}
    return {
        name: ", ".join(_bound(*found) for found in BOUND.findall(repr(validator)))
        for name, validator in told.items()
    }


def _bound(sign: str, value: str) -> str:
    if value == "inf":
        return "finite"
    return f"{SIGNS[sign]} {_number(value)}"


def _number(value: str) -> str:
    if "." in value or "e" in value:
        return f"{float(value):.3g}"
    number = int(value)
    for power in (31, 63, 64):
        if number in {2**power - 1, 2**power}:
            return f"2^{power}" + (" - 1" if number % 2 else "")
    return value
