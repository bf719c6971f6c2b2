"""What must hold of every dataset: that it delivers what its facts say, and always the same.

Up to `EXAMPLES` examples are looked at, evenly spaced.
"""

import copy
import math
from collections.abc import Callable, Iterable
from typing import SupportsFloat, TypeVar

import torch
from attrs import evolve, has
from torch import Tensor

from diffx_core.dataset import NO_LABEL, Batch, Dataset, DataSpec, spec_to_json
from diffx_core.testing.global_state import left_alone
from diffx_core.testing.law import Law, Measurement

Part = TypeVar("Part")
EXAMPLES = 1024
ROUNDING = 1e-5
"""How far a value may be from its range or level, and sigma_data from what is measured."""
SEED, STEP = 3, 7


def looked_at(dataset: Dataset) -> Tensor:
    """The positions of the examples that the laws look at.

    Raises:
        AssertionError: there are none.
    """
    count = len(dataset)
    assert count > 0, "it is empty"
    return torch.linspace(0, count - 1, min(count, EXAMPLES)).long()


def both(dataset: Dataset, index: Tensor) -> tuple[Batch, Batch]:
    """Examples as they are, and as training sees them."""
    return dataset.batch(index), dataset.augmented(index, seed=SEED, step=STEP)


def first_wrong(found: Iterable[Measurement]) -> Measurement:
    """The first that does not hold; if all do, the last."""
    listed = list(found)
    return next((one for one in listed if not one.holds), listed[-1])


def share_of(wrong: Tensor | SupportsFloat, detail: str = "") -> Measurement:
    """How many of some are wrong; none may be."""
    share = wrong.double().mean().item() if isinstance(wrong, Tensor) else float(wrong)
    return Measurement(share, 0.0, detail)


def anew(component: Part) -> Part | None:
    """Another one of the same options, which remembers nothing; None if it is no attrs class."""
    if not has(type(component)):
        return None
    other: Part = evolve(component)  # type: ignore[misc] # it is one, as was just found
    return other


def _same(one: Batch, other: Batch) -> bool:
    """Whether two batches are equal in every bit."""
    first, second = one.cond.given(), other.cond.given()
    return (
        torch.equal(one.x, other.x)
        and _texts(one) == _texts(other)
        and first.keys() == second.keys()
        and all(torch.equal(first[name], second[name]) for name in first)
    )


def _texts(batch: Batch) -> list[str]:
    return [] if batch.captions is None else list(batch.captions)


def _facts(dataset: Dataset) -> Measurement:
    spec = dataset.spec
    return share_of(DataSpec(**spec_to_json(spec)) != spec, "through JSON")


def _shape(dataset: Dataset) -> Measurement:
    index, spec = looked_at(dataset), dataset.spec

    def of(x: Tensor) -> Measurement:
        wrong = tuple(x.shape) != (len(index), *spec.shape) or x.dtype != torch.float32
        detail = f"{x.dtype} {tuple(x.shape[1:])}; the facts say float32 {spec.shape}"
        return share_of(wrong, detail)

    return first_wrong(of(batch.x) for batch in both(dataset, index))


def _finite(dataset: Dataset) -> Measurement:
    return first_wrong(share_of(~one.x.isfinite()) for one in both(dataset, looked_at(dataset)))


def _range(dataset: Dataset) -> Measurement:
    bounds = dataset.spec.value_range
    if bounds is None:
        return Measurement(0.0, 0.0, "the facts have no range", measured=False)
    x = torch.cat([one.x.flatten() for one in both(dataset, looked_at(dataset))])
    beyond = torch.maximum(bounds[0] - x, x - bounds[1]).max().item()
    return Measurement(max(beyond, 0.0), ROUNDING * (bounds[1] - bounds[0]))


def _levels(dataset: Dataset) -> Measurement:
    spec = dataset.spec
    if spec.cell is None or spec.value_range is None:
        return Measurement(0.0, 0.0, "the facts have no levels", measured=False)
    x = dataset.batch(looked_at(dataset)).x.double()
    cells = (x - spec.value_range[0]) / spec.cell
    return Measurement((cells - cells.round()).abs().max().item(), 1e-3, "in cells")


def _sigma_data(dataset: Dataset) -> Measurement:
    index = looked_at(dataset)
    square = dataset.batch(index).x.double().square().flatten(1).mean(1)
    found = square.mean().sqrt().item()
    deviation = abs(found / dataset.spec.sigma_data - 1)
    # what five standard errors of some of the examples are, of the root of a mean
    few = len(index) < len(dataset)
    error = 2.5 * (square.std() / square.mean() / math.sqrt(len(index))).item() if few else 0.0
    return Measurement(deviation, ROUNDING + error, f"root mean square {found:.4g}")


def _labels(dataset: Dataset) -> Measurement:
    batches = both(dataset, looked_at(dataset))
    return first_wrong(_labelled(one.cond.label, dataset.spec.num_classes) for one in batches)


def _labelled(label: Tensor | None, classes: int | None) -> Measurement:
    if label is None or classes is None:
        return share_of((label is None) != (classes is None), "labels without num_classes, or it")
    if label.dtype != torch.int64 or label.ndim != 1:
        return share_of(wrong=True, detail=f"labels are {label.dtype} {tuple(label.shape)}")
    known = ((label >= 0) & (label < classes)) | (label == NO_LABEL)
    return share_of(~known, f"{int(label.min())}..{int(label.max())} of {classes}")


def _captions(dataset: Dataset) -> Measurement:
    index, said = looked_at(dataset), dataset.spec.captions
    captions = dataset.batch(index).captions
    if captions is None or not said:
        return share_of(
            (captions is not None) != said, "captions that the facts do not know, or it"
        )
    wrong = [not isinstance(one, str) for one in captions] + [len(captions) != len(index)]
    return share_of(torch.tensor(wrong), f"{len(captions)} texts for {len(index)} examples")


def _pairs(dataset: Dataset) -> Measurement:
    def of(batch: Batch) -> Measurement:
        shape = None if batch.cond.image is None else batch.cond.image.shape
        wrong = shape != (batch.x.shape if dataset.spec.paired else None)
        return share_of(wrong=wrong, detail=f"images {shape} beside examples {batch.x.shape}")

    return first_wrong(map(of, both(dataset, looked_at(dataset))))


def _index(dataset: Dataset) -> Measurement:
    index = looked_at(dataset).flip(0)
    found = [one.index for one in both(dataset, index)]
    return share_of(any(one is None or not torch.equal(one, index) for one in found))


def _company(dataset: Dataset) -> Measurement:
    return _in_company(dataset, dataset.batch)


def _augmented(dataset: Dataset) -> Measurement:
    return _in_company(dataset, lambda index: dataset.augmented(index, seed=SEED, step=STEP))


def _in_company(dataset: Dataset, batch: Callable[[Tensor], Batch]) -> Measurement:
    """Each example, in reverse, twice, and alone, against all of them together."""
    index = looked_at(dataset)
    together = batch(index)
    backwards = batch(index.flip(0))
    wrong = [not torch.equal(backwards.x.flip(0), together.x)]
    wrong += [together.x.shape != (len(index), *dataset.spec.shape)]
    for k in {0, len(index) // 2, len(index) - 1}:
        alone, twice = batch(index[k : k + 1]), batch(index[[k, 0, k]])
        wrong += [not torch.equal(alone.x[0], together.x[k])]
        wrong += [not torch.equal(one, together.x[k]) for one in twice.x[::2]]
        for name, told in together.cond.given().items():
            wrong += [not torch.equal(alone.cond.given()[name][0], told[k])]
        wrong += [_texts(alone) != _texts(together)[k : k + 1]]
    wrong += [_texts(backwards)[::-1] != _texts(together)]
    return share_of(torch.tensor(wrong))


def _in_two(dataset: Dataset) -> Measurement:
    index, (read, finish) = looked_at(dataset), dataset.in_two()
    parted = finish(read(index, seed=SEED, step=STEP))
    return share_of(not _same(parted, dataset.augmented(index, seed=SEED, step=STEP)))


def _own(dataset: Dataset) -> Measurement:
    index = looked_at(dataset)[:8]
    before = dataset.batch(index).x.clone()
    dataset.batch(index).x.fill_(math.nan)
    return share_of(not torch.equal(dataset.batch(index).x, before))


def _again(dataset: Dataset) -> Measurement:
    other = anew(dataset)
    if other is None:
        return Measurement(0.0, 0.0, "it is no attrs class", measured=False)
    index = looked_at(dataset)
    if other.fingerprint != dataset.fingerprint:
        return share_of(wrong=True, detail="with another fingerprint")
    return share_of(not _same(other.batch(index), dataset.batch(index)))


def _copy(dataset: Dataset) -> Measurement:
    index = looked_at(dataset)
    return share_of(not _same(copy.deepcopy(dataset).batch(index), dataset.batch(index)))


def _device(dataset: Dataset) -> Measurement:
    index, there = looked_at(dataset), dataset.on("cpu")
    same = len(there) == len(dataset) and there.spec == dataset.spec
    return share_of(not (same and _same(there.batch(index), dataset.batch(index))))


def _outside(dataset: Dataset) -> Measurement:
    answered = []
    for position in (-1, len(dataset)):
        try:
            dataset.batch(torch.tensor([position]))
        except IndexError:
            continue
        answered.append(position)
    return share_of(bool(answered), f"answers {answered}")


def _global_state(dataset: Dataset) -> Measurement:
    index = looked_at(dataset)
    return left_alone(lambda: both(dataset, index))


DATASET_LAWS: tuple[Law[Dataset], ...] = (
    Law("the facts survive being saved", _facts),
    Law("examples have the shape that the facts say, in float32", _shape),
    Law("all values are finite", _finite),
    Law("values stay within their range", _range),
    Law("values are at their levels", _levels),
    Law("sigma_data is the root mean square of the values", _sigma_data),
    Law("labels are int64 from 0 to num_classes - 1, if there are any", _labels),
    Law("captions are one text for each example, if the facts say so", _captions),
    Law("each example has an image of its shape, if and only if the facts say so", _pairs),
    Law("a batch says which examples it has", _index),
    Law("an example is the same in any batch", _company),
    Law("what training sees depends on seed, index and step alone", _augmented),
    Law("read and then finished, it is what training sees", _in_two),
    Law("a batch can be changed without changing the data", _own),
    Law("the same options give the same data", _again),
    Law("a copy gives the same data", _copy),
    Law("the data are the same on their device", _device),
    Law("there is nothing outside of the data", _outside),
    Law("global random numbers are left alone", _global_state),
)
