"""Examples as metrics read them: by the features that somebody chose, or as they are."""

from collections.abc import Iterable, Mapping
from typing import Self

import torch
from attrs import frozen
from torch import Tensor

from diffx_core.engine.ranks import Ranks
from diffx_core.metric import Metric
from diffx_metrics.features.seen import Features, Seen

EXAMPLES = "values"
"""What figures are called by that need no features."""


@frozen(eq=False)
class Found:
    """What metrics read of some examples.

    Args:
        seen: features and logits, by kind.
        examples: themselves, if anybody needs them.
    """

    seen: Mapping[str, Seen]
    examples: Tensor | None

    def __getitem__(self, index: Tensor | slice) -> "Found":
        """That of some of them."""
        seen = {
            kind: Seen(one.features[index], None if one.logits is None else one.logits[index])
            for kind, one in self.seen.items()
        }
        return Found(seen, None if self.examples is None else self.examples[index])

    def beside(self, kind: str, seen: Seen) -> "Found":
        """The same with what was seen of another kind."""
        return Found({**self.seen, kind: seen}, self.examples)

    def __len__(self) -> int:
        return len(next(iter(self.seen.values())).features)

    def read(self, metric: Metric, kind: str) -> Tensor:
        """What a metric reads, by features of a kind."""
        if metric.reads == "examples":
            assert self.examples is not None, "they are kept for it"
            return self.examples
        one = self.seen[metric.features or kind]
        if metric.reads == "features":
            return one.features
        assert one.logits is not None, "others have been refused"
        return one.logits

    @classmethod
    def joined(cls, parts: Iterable[Self], ranks: Ranks) -> "Found":
        """All parts, of all processes in their order."""
        listed = list(parts)
        kinds = listed[0].seen

        def all_of(rows: Iterable[Tensor | None]) -> Tensor | None:
            there = [one for one in rows if one is not None]
            return ranks.joined(torch.cat(there)) if there else None

        seen = {}
        for kind in kinds:
            features = all_of(part.seen[kind].features for part in listed)
            assert features is not None, "every part has some"
            seen[kind] = Seen(features, all_of(part.seen[kind].logits for part in listed))
        return cls(seen, all_of(part.examples for part in listed))


@frozen(eq=False)
class Looking:
    """Whoever looks at examples.

    Args:
        features: by kind.
        keep: whether the examples themselves are kept.
        shape: of one example.
    """

    features: Mapping[str, Features]
    keep: bool
    shape: tuple[int, ...]

    def at(self, batches: Iterable[Tensor], ranks: Ranks) -> Found:
        """What is found in this process's share of some examples, and in those of all others."""
        nothing = torch.zeros(1, *self.shape)  # so that a process without any knows the widths
        parts = [self.look(nothing)[:0], *(self.look(x) for x in batches)]
        return Found.joined(parts, ranks)

    def look(self, x: Tensor) -> Found:
        """What is found in some examples."""
        seen = {kind: one.see(x) for kind, one in self.features.items()}
        return Found(seen, x.cpu() if self.keep else None)
