"""How fast images reach training: ours beside torchvision's ImageFolder with a DataLoader.

    python tests/benchmarks/loading.py

Both deliver the same files, shuffled, mirrored at random, as floats in [-1, 1] with labels. What
comes once is shown by itself: decoding into the cache, or starting the workers.
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import datasets, transforms

from diffx_core.engine.order import DataOrder
from diffx_datasets.image_folder import ImageFolder

IMAGES, SIDE, CLASSES = 10_000, 32, 10
BATCH, WORKERS = 256, 2
EPOCHS = 3


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


def images_per_second(epoch, number):
    """How many images an epoch delivers in a second."""
    start, count = time.perf_counter(), 0
    for x, _ in epoch(number):
        count += len(x)
    return count / (time.perf_counter() - start)


def main():
    """Print the table."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["DIFFX_CACHE"] = f"{scratch}/cache"
        folder = write(Path(scratch, "images"))
        best = {}
        for name, make in (("diffx", ours), ("torchvision", theirs)):
            for flip in (False, True):
                start = time.perf_counter()
                epoch = make(folder, flip=flip)
                first = images_per_second(epoch, 0)
                once = time.perf_counter() - start
                rates = [first, *(images_per_second(epoch, k) for k in range(1, EPOCHS + 1))]
                best[name, flip] = max(rates)
                print(
                    f"{name:12} flip={flip!s:5} {max(rates):12,.0f} images/s, {once:.1f} s at first"
                )
    for flip in (False, True):
        print(f"flip={flip}: {best['diffx', flip] / best['torchvision', flip]:.0f} times as fast")


if __name__ == "__main__":
    main()
