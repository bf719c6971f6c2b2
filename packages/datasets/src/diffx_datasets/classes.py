"""How many classes labels are of: as many as was said, or one more than the highest of them.

A network has a row of weights for each class, so one wrong number among the labels would make it
huge. More than `SURE` classes have to be said, or to have as many examples; more than `MOST` are
not believed of a file, either, and cannot be said.
"""

import numpy as np
import numpy.typing as npt
from attrs.validators import and_, ge, le, optional

from diffx_core import DataError

SURE = 10_000
"""Classes that are believed whatever the number of examples."""
MOST = 1_000_000
"""Classes that can be said."""
CAN_BE_SAID = optional(and_(ge(1), le(MOST)))
"""What an option that says them is held to."""


def classes_of(
    labels: npt.NDArray[np.integer] | None, said: int | None, where: str, told: int | None = None
) -> int | None:
    """The number of classes, None without labels.

    Args:
        labels: (N,) whole numbers from 0, or None.
        said: how many there are, some of which may have no example; None if nobody has said it.
        where: whose labels, for messages.
        told: how many the files themselves say, all labels being of them; None if they do not.

    Raises:
        DataError: a label is beyond what was said, or too high to be believed; or there are none.
    """
    if labels is None:
        if said is not None:
            raise DataError(f"{where} has no labels; leave out --dataset.num_classes {said}")
        return None
    highest = int(labels.max())
    if said is not None:
        if highest >= said:
            raise DataError(
                f"{where} has the label {highest}, but --dataset.num_classes {said} allows 0 to"
                f" {said - 1}"
            )
        return said
    if told is not None:
        if told > max(MOST, len(labels)):
            raise DataError(
                f"{where} says that there are {told} classes, and has {len(labels)} examples; say"
                " how many there are with --dataset.num_classes"
            )
        return told
    if highest >= max(SURE, len(labels)):
        raise DataError(
            f"{where} has the label {highest} among {len(labels)} examples, which would make"
            f" {highest + 1} classes; mend the label, number the classes from 0 without gaps, or"
            " say how many there are with --dataset.num_classes"
        )
    return highest + 1
