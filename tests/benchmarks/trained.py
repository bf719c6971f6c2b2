"""How far samplers end from the end of the ODE of a trained model of images.

    diffx demo --out runs/digits
    python tests/benchmarks/trained.py runs/digits

The end is what 199 calls of `heun` lead to; how far 150 calls of `dpmpp` of order 3 end from it
says how well it is known. Root mean squares over all pixels of images with the same noise and
labels.
"""

import sys
from pathlib import Path

import torch

from diffx_core import Pipeline
from diffx_core.plugins import Registry

CALLS = (5, 8, 10, 20)
IMAGES, SEED = 48, 5
REGISTRY = Registry.load({})
COMPARED = [
    *(("unipc", {"grid": grid}) for grid in ("flow", "time_shift:0.6", "logsnr", "karras")),
    ("unipc", {"grid": "flow", "variable": "logsnr"}),
    ("unipc", {"grid": "flow", "order": 3}),
    ("dpmpp", {"grid": "flow"}),
    ("ddim", {"grid": "uniform"}),
]


def drawn(pipeline, name, steps, **options):
    """Images of all classes, of the same noise for every sampler."""
    sampler = REGISTRY.find("sampler", name).load()(steps=steps, **options)
    return pipeline.sample(
        IMAGES, sampler=sampler, label=[i % 10 for i in range(IMAGES)], seed=SEED
    )


def main(run):
    """Print the table."""
    pipeline = Pipeline.load(Path(run), REGISTRY)
    end = drawn(pipeline, "heun", 100, grid="logsnr")

    def apart(images):
        return float((images - end).square().mean().sqrt())

    print(f"the end is known to {apart(drawn(pipeline, 'dpmpp', 150, order=3, grid='flow')):.4f}")
    print("|", *[f"{calls} |" for calls in ("sampler", *CALLS)])
    for name, options in COMPARED:
        what = " ".join((name, *map(str, options.values())))
        row = [apart(drawn(pipeline, name, calls, **options)) for calls in CALLS]
        print("|", what, "|", *[f"{one:.4f} |" for one in row])


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1])
