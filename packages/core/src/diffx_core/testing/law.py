"""A law: something that must hold of every component of a kind, with the figure that shows it."""

from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import frozen

Subject = TypeVar("Subject")


@frozen
class Measurement:
    """What was found.

    Args:
        figure: the measured deviation; smaller is better.
        tolerance: the largest deviation with which the law still holds.
        detail: where, or with what, it was found.
        measured: whether it could be measured at all; the detail says why not.
    """

    figure: float
    tolerance: float
    detail: str = ""
    measured: bool = True

    @property
    def holds(self) -> bool:
        """Whether the figure is within the tolerance, as far as it was measured; NaN is not."""
        return not self.measured or self.figure <= self.tolerance


def name_of(subject: object) -> str:
    """What messages call a component: a class or a function by its own name."""
    return str(getattr(subject, "__name__", type(subject).__name__))


@frozen
class Law(Generic[Subject]):
    """A named check.

    Args:
        name: what must hold, in a few words.
        measure: how far a component is from it.
    """

    name: str
    measure: Callable[[Subject], Measurement]

    def check(self, subject: Subject) -> Measurement:
        """Measure, and raise an AssertionError with the figures if the law does not hold."""
        found = self.measure(subject)
        if not found.holds:
            where = f" ({found.detail})" if found.detail else ""
            raise AssertionError(
                f"{name_of(subject)}: {self.name}: "
                f"{found.figure:.3g} > {found.tolerance:.3g}{where}"
            )
        return found

    def __str__(self) -> str:
        return self.name
