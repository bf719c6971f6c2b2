"""How fast images reach training: ours beside torchvision's ImageFolder with a DataLoader.

    python tests/benchmarks/loading.py

Both deliver the same files, shuffled, mirrored at random, as floats in [-1, 1] with labels. Ours
are kept decoded, or streamed by as many workers as theirs. What comes once is shown by itself:
decoding into the cache, or starting the workers.
"""

import os
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import datasets, transforms

from diffx_core.engine.order import DataOrder
from diffx_core.engine.reading import read_ahead
from diffx_datasets.image_folder import ImageFolder

IMAGES, SIDE, CLASSES = 10_000, 32, 10
BATCH, WORKERS = 256, 2
ROUNDS = 7


def write(folder, images=IMAGES):
    """Smooth noise, which packs about as well as photographs of this size."""
    draw = np.random.default_rng(0)
    for k in range(images):
        path = folder / f"{k % CLASSES}" / f"{k:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        small = draw.integers(0, 256, (SIDE // 4, SIDE // 4, 3), dtype=np.uint8)
        Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path)
    return folder


def ours(folder, *, flip):
    """Batches of an epoch, each time it is called with a number."""
    data = ImageFolder(root=folder, size=SIDE, flip=flip)
    order = DataOrder(len(data), BATCH)
    packed, steps = data.on("cpu"), len(data) // BATCH

    def epoch(number):
        for step in range(number * steps, (number + 1) * steps):
            batch = packed.augmented(order.indices(step), seed=0, step=step)
            yield batch.x, batch.cond.label

    return epoch


def streamed(folder, *, flip, workers=WORKERS):
    """The same, read and decoded for each batch."""
    data = ImageFolder(root=folder, size=SIDE, flip=flip, stream=True)
    order, steps = DataOrder(len(data), BATCH), len(data) // BATCH
    reading = {"seed": 0, "device": torch.device("cpu"), "workers": workers}

    def batches():
        with read_ahead(data.on("cpu"), order, range(10**9), **reading) as found:
            yield from ((batch.x, batch.cond.label) for batch in found)

    running = batches()
    return lambda _: islice(running, steps)


def theirs(folder, *, flip, workers=WORKERS):
    """The same by torchvision."""
    mirror = [transforms.RandomHorizontalFlip()] if flip else []
    change = transforms.Compose(
        [*mirror, transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)]
    )
    loader = torch.utils.data.DataLoader(
        datasets.ImageFolder(folder, change),
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    return lambda _: iter(loader)


CONTESTANTS = {"diffx": ours, "streamed": streamed, "torchvision": theirs}


def images_per_second(epoch, number):
    """How many images an epoch delivers in a second."""
    start, count = time.perf_counter(), 0
    for x, _ in epoch(number):
        count += len(x)
    return count / (time.perf_counter() - start)


def main():
    """Print the table: each round measures everything, so that other work disturbs all alike."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["DIFFX_CACHE"] = f"{scratch}/cache"
        folder = write(Path(scratch, "images"))
        epochs, rates = {}, {}
        for flip in (False, True):
            for name, make in CONTESTANTS.items():
                start = time.perf_counter()
                epochs[name, flip] = make(folder, flip=flip)
                images_per_second(epochs[name, flip], 0)
                print(f"{name:12} flip={flip!s:5} {time.perf_counter() - start:.1f} s, first epoch")
        for number in range(1, ROUNDS + 1):
            for one, epoch in epochs.items():
                rates.setdefault(one, []).append(images_per_second(epoch, number))
    for (name, flip), found in rates.items():
        print(f"{name:12} flip={flip!s:5} {statistics.median(found):12,.0f} images/s, median")
    for (name, flip), found in rates.items():
        pairs = zip(found, rates["torchvision", flip], strict=True)
        ratios = [mine / other for mine, other in pairs]
        spread = f"{min(ratios):.2g} to {max(ratios):.2g}"
        print(f"{name}, flip={flip}: {statistics.median(ratios):.3g} times as fast ({spread})")


if __name__ == "__main__":
    main()
