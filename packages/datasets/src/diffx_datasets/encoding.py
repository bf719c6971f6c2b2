"""From a dataset of images to shards of latents."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from diffx_core import Batch, Condition, ConfigError, DataError, Dataset
from diffx_datasets.autoencoder import Autoencoder
from diffx_datasets.examples import BatchWithout
from diffx_datasets.latent_shards import Shard, write_shard
from diffx_datasets.packed_images import PackedImages

PER_SHARD = 8192
RANGE = (-1.0, 1.0)


class Encoded(NamedTuple):
    """How much was written.

    Args:
        examples: latents, without those of images that cannot be used.
        shards: files of them.
    """

    examples: int
    shards: int


def encode(
    dataset: Dataset,
    autoencoder: Autoencoder,
    folder: Path,
    *,
    device: torch.device,
    mirrored: bool = False,
    batch_size: int = 32,
    per_shard: int = PER_SHARD,
    told: Callable[[int], None] = lambda _: None,
) -> Encoded:
    """Write the latents of all images that can be used.

    Args:
        dataset: images in [-1, 1].
        autoencoder: what makes latents of them.
        folder: where the shards go.
        device: where the autoencoder is.
        mirrored: also write the latents of the mirrored images.
        batch_size: images that are encoded together.
        per_shard: latents in a file.
        told: is told how many images are done.

    Raises:
        ConfigError: the data are not images that the autoencoder can read.
        DataError: what it makes of one of them is not finite, or none of a whole shard can be used.
    """
    require(dataset, autoencoder)
    data, examples = dataset.on(device), 0
    shards = torch.arange(len(data)).split(per_shard)
    for number, positions in enumerate(shards):
        batches = _batches(data, positions.split(batch_size), told)
        shard = _shard(folder, data, batches, autoencoder, device, mirrored=mirrored)
        if shard is None:
            ends = f"{int(positions[0])} to {int(positions[-1])}"
            raise DataError(f"none of the images {ends} of the data can be used")
        write_shard(folder, shard, number, len(shards))
        examples += len(shard.latents)
    return Encoded(examples, len(shards))


def _shard(
    folder: Path,
    data: Dataset,
    batches: Iterable[tuple[Batch, Tensor]],
    autoencoder: Autoencoder,
    device: torch.device,
    *,
    mirrored: bool,
) -> Shard | None:
    """The latents of some images, with what is known of these; None if there are no images."""
    latents, others, labels, texts = list[Tensor](), list[Tensor](), list[Tensor](), list[str]()
    for batch, own in batches:
        x = batch.x.to(device)
        latents.append(_halves(autoencoder.encode(x), own))
        if mirrored:
            others.append(_halves(autoencoder.encode(x.flip(-1)), own))
        if batch.cond.label is not None:
            labels.append(batch.cond.label.cpu())
        texts.extend(batch.captions or ())
    if not latents:
        return None
    return Shard(
        path=folder,
        latents=torch.cat(latents),
        label=torch.cat(labels) if labels else None,
        mirrored=torch.cat(others) if others else None,
        num_classes=data.spec.num_classes if labels else None,
        captions=texts if data.spec.captions else None,
    )


def _batches(
    data: Dataset, parts: Iterable[Tensor], told: Callable[[int], None]
) -> Iterator[tuple[Batch, Tensor]]:
    """The images at positions, part by part, and the positions of those that can be used."""
    for index in parts:
        batch, own = _own(data.batch(index), index)
        if len(own):
            yield batch, own
        told(int(index[-1]) + 1)


def _own(batch: Batch, index: Tensor) -> tuple[Batch, Tensor]:
    """A batch of (B,) positions without those where another image stands in; and the positions."""
    replaced = batch.replaced if isinstance(batch, BatchWithout) else {}
    rows = [row for row, position in enumerate(index.tolist()) if position not in replaced]
    if len(rows) == len(index):
        return batch, index
    own, label, captions = index[rows], batch.cond.label, batch.captions
    cond = Condition(label=None if label is None else label[rows])
    texts = None if captions is None else [captions[row] for row in rows]
    return Batch(batch.x[rows], cond, own, texts), own


def _halves(latents: Tensor, index: Tensor) -> Tensor:
    """The latents of the images at (B,) positions in half precision, if it can hold them."""
    halves = latents.half().cpu()
    lost = ~halves.isfinite().flatten(1).all(1)
    if lost.any():
        raise DataError(
            f"image {int(index[lost][0])} of the data has latents that are not finite in half"
            " precision: leave it out, or take another autoencoder"
        )
    return halves


def require(dataset: Dataset, autoencoder: Autoencoder) -> None:
    """Refuse what the autoencoder cannot read, before any image is decoded.

    Raises:
        ConfigError: the data are not images of its number of channels in [-1, 1], or not of whole
            latents, or have other images beside them, which shards do not hold.
    """
    shape, paired = _promised(dataset)
    if paired:
        raise ConfigError(
            "shards of latents hold labels and texts, but no images beside the images; leave out"
            " --dataset.beside"
        )
    if shape[0] != autoencoder.channels:
        raise ConfigError(
            f"the autoencoder reads images of {autoencoder.channels} channels, the data have"
            f" {shape[0]}"
        )
    factor = autoencoder.factor
    odd = [side for side in shape[1:] if side % factor]
    if odd:
        near = [side for side in (odd[0] // factor * factor, -(-odd[0] // factor) * factor) if side]
        raise ConfigError(
            f"the autoencoder makes a latent of {factor} x {factor} pixels, and {factor} does not"
            f" divide images of {shape[1]} x {shape[2]}: --dataset.size"
            f" {' or '.join(map(str, near))} fits"
        )


def _promised(dataset: Dataset) -> tuple[tuple[int, ...], bool]:
    """The shape of the images, and whether each is told another one."""
    if isinstance(dataset, PackedImages):  # the spec would have all of them decoded
        source = dataset.source()
        return source.shape, source.paired
    spec = dataset.spec
    if not spec.is_image or spec.value_range != RANGE:
        raise ConfigError(f"an autoencoder reads images in [-1, 1], not {spec.shape}")
    return spec.shape, spec.paired
