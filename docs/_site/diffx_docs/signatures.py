"""How a class or a function is called, as it is read rather than as it is written."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

WIDTH = 88
QUALIFIED = re.compile(r"\b(?:[a-z_]\w*\.)+(?=[A-Z_a-z])")
ADDRESS = re.compile(r"NOTHING|<[^<>]*(?: at 0x\w+|object)[^<>]*>|<function [^<>]*>")


def signature(name: str, value: Any) -> str:  # noqa: ANN401  # whatever can be called
    """A class or a function with its parameters, one on each line where they are many."""
    is_class = inspect.isclass(value)
    head = f"class {name}" if is_class else f"def {name}"
    if is_class and (issubclass(value, BaseException) or getattr(value, "_is_protocol", False)):
        return head
    found = inspect.signature(value)
    kept = [one for one in found.parameters.values() if one.name not in {"self", "cls"}]
    answer = found.empty if is_class else found.return_annotation
    found = found.replace(parameters=kept, return_annotation=answer)
    shown = head + cleaned(str(found))
    if len(shown) <= WIDTH:
        return shown
    lines = "".join(f"    {cleaned(str(one))},\n" for one in _starred(kept))
    end = "" if answer is found.empty else " -> " + cleaned(str(found).rpartition(" -> ")[2])
    return f"{head}(\n{lines}){end}"


def _starred(parameters: list[inspect.Parameter]) -> Iterator[object]:
    """The parameters, with the star that parts those that are given by name."""
    starred = False
    for one in parameters:
        if one.kind is one.KEYWORD_ONLY and not starred:
            yield "*"
        starred = starred or one.kind in {one.KEYWORD_ONLY, one.VAR_POSITIONAL}
        yield one


def cleaned(text: str) -> str:
    """Names without the modules that they are from, and nothing that is an address."""
    return QUALIFIED.sub("", ADDRESS.sub("...", text)).replace("'", "")
