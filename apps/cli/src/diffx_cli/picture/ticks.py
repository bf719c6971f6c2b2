"""Numbers beside a logarithmic axis."""

from matplotlib.axes import Axes
from matplotlib.ticker import AutoLocator, LogLocator, NullLocator, StrMethodFormatter

NARROW = 30.0
"""Up to which ratio of its ends an axis has more numbers than the powers of ten."""
EVEN = 4.0
"""Up to which ratio the numbers are at equal distances of each other."""
NUMBERS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
"""Which ones it has in each decade otherwise."""


def scale_by_log(axes: Axes) -> None:
    """Make the y axis of what has been drawn logarithmic, with plain numbers if it is narrow."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high / low <= NARROW:
        even = high / low <= EVEN
        axes.yaxis.set_major_locator(AutoLocator() if even else LogLocator(subs=NUMBERS))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
