"""How large the data are that a network sees, with an anchor and without."""

import pytest
from attrs import frozen

from diffx_core import Batch, Condition, ConfigError, Dataset, DataSpec
from diffx_core.engine.scale import as_seen
from diffx_core.testing.oracle import ReferenceVE


@frozen
class ToItsImage(ReferenceVE):
    def anchor(self, cond):
        return cond.image


@frozen
class Pairs(Dataset):
    """Numbers about 0, 1, 2, .. whose images are off by a given deviation, to and fro."""

    count: int
    off: float

    @property
    def spec(self):
        return DataSpec((4,), sigma_data=100.0)

    def __len__(self):
        return self.count

    def batch(self, index):
        x = index.float()[:, None].expand(-1, 4)
        sign = 1 - 2.0 * (index % 2)[:, None]
        return Batch(x + self.off * sign, Condition(image=x))


def test_without_an_anchor_the_dataset_knows():
    pairs = Pairs(10, 0.5)
    assert as_seen(pairs, ReferenceVE()) == pairs.spec


@pytest.mark.parametrize("count", [1, 7, 600, 100_000])
def test_with_an_anchor_it_is_measured_from_there(count):
    seen = as_seen(Pairs(count, 0.5), ToItsImage())
    assert seen.sigma_data == pytest.approx(0.5, rel=1e-6 if count < 1000 else 1e-2)
    assert seen.shape == (4,)


def test_examples_that_are_their_anchors_are_refused():
    with pytest.raises(ConfigError, match="every example is what the process starts from"):
        as_seen(Pairs(5, 0.0), ToItsImage())
