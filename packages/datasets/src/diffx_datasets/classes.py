"""How many classes labels are of: as many as was said, or one more than the highest of them.

A network has a row of weights for each class, so one wrong number among the labels would make it
huge. More than `SURE` classes have to be said, or to have as many examples.
"""

import numpy as np
import numpy.typing as npt

from diffx_core import DataError

SURE = 10_000
"""Classes that are believed whatever the number of examples."""


def classes_of(labels: npt.NDArray[np.integer] | None, said: int | None, where: str) -> int | None:
    """The number of classes, None without labels.

    Args:
        labels: (N,) whole numbers from 0, or None.
        said: how many there are, some of which may have no example; None if nobody has said it.
        where: whose labels, for messages.

    Raises:
        DataError: a label is beyond what was said, or too high to be believed; or there are none.
    """
    if labels is None:
        if said is not None:
            raise DataError(f"{where} has no labels; leave out --dataset.num_classes {said}")
        return None
    least = int(labels.max()) + 1
    if said is not None and least > said:
        raise DataError(
            f"{where} has the label {least - 1}, but --dataset.num_classes {said} allows 0 to"
            f" {said - 1}"
        )
    if said is None and least > max(SURE, len(labels)):
        raise DataError(
            f"{where} has the label {least - 1} among {len(labels)} examples, which would make"
            f" {least} classes; mend the label, number the classes from 0 without gaps, or say how"
            " many there are with --dataset.num_classes"
        )
    return least if said is None else said
