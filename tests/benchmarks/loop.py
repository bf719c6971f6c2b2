"""What a loop costs besides forward, backward and optimizer: ours, a bare one, and those of others.

All train the same small network with the same objective, optimizer, clipping, average and batches,
by turns in one process. The time of the processor is counted, not that of the clock, so other work
on the machine matters little. The bare loop is what one writes by hand (as in nanoGPT): what the
others take more than it is their overhead, and the same for a network of any size.

    python tests/benchmarks/loop.py
"""

import statistics
import time
import warnings
from importlib.util import find_spec

import torch
from attrs import field, frozen
from torch import nn

from diffx_core import PREDICTIONS, Batch, Condition, Dataset, DataSpec, NetworkDenoiser
from diffx_core.engine.observers import MetricsFile, Progress
from diffx_core.engine.order import DataOrder
from diffx_core.engine.trainer import Trainer
from diffx_core.objective import Objective
from diffx_core.options import TrainOptions
from diffx_core.testing.oracle import ReferenceVP

BATCH, WARM, STEPS, ROUNDS = 64, 50, 400, 7


@frozen
class Points(Dataset):
    """Points in memory."""

    x: torch.Tensor = field(factory=lambda: torch.randn(4096, 8))
    spec: DataSpec = field(factory=lambda: DataSpec((8,)))

    def __len__(self):
        return len(self.x)

    def batch(self, index):
        return Batch(self.x[index], Condition(), index)


class Net(nn.Module):
    """Small, with as many tensors as a network has that people train."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(nn.Linear(9, 9) for _ in range(16))
        self.last = nn.Linear(9, 8)

    def forward(self, x, noise_label, cond):
        h = torch.cat([x, noise_label[:, None] / 1000], 1)
        for layer in self.layers:
            h = h + layer(h).tanh()
        return self.last(h)


def parts():
    """What every loop is given."""
    net, data = Net(), Points()
    denoiser = NetworkDenoiser(net, ReferenceVP(), PREDICTIONS["edm"])
    return net, denoiser, data, Objective(), torch.optim.AdamW(net.parameters(), 1e-3, fused=True)


def bare(steps):
    """A loop by hand: batch, rate, loss, backward, clip, step, average."""
    net, denoiser, data, objective, optimizer = parts()
    order = DataOrder(len(data), BATCH)
    average = [p.detach().clone() for p in net.parameters()]
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * min(1.0, (step + 1) / 101)
        loss = objective(denoiser, data.batch(order.indices(step)), step)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        torch._foreach_lerp_(average, [p.detach() for p in net.parameters()], 0.001)
        yield loss.item() + norm.item()


def diffx(steps, *, watched):
    """Ours, alone or with the observers that the command line has."""
    _, denoiser, data, objective, _ = parts()
    observers = [MetricsFile(path()), Progress()] if watched else []
    heard = Heard()
    trainer = Trainer(
        denoiser,
        data,
        objective,
        TrainOptions(steps=steps, batch_size=BATCH, lr=1e-3),
        observers=[*observers, heard],
    )
    trainer.fit()
    return heard.times


def accelerated(steps):
    """A loop with accelerate, as its examples have it."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    net, _, data, objective, optimizer = parts()
    net, optimizer = accelerator.prepare(net, optimizer)
    denoiser = NetworkDenoiser(net, ReferenceVP(), PREDICTIONS["edm"])
    schedule = accelerator.prepare(
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 101))
    )
    order = DataOrder(len(data), BATCH)
    average = [p.detach().clone() for p in net.parameters()]
    for step in range(steps):
        with accelerator.accumulate(net):
            loss = objective(denoiser, data.batch(order.indices(step)), step)
            accelerator.backward(loss)
            norm = accelerator.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        torch._foreach_lerp_(average, [p.detach() for p in net.parameters()], 0.001)
        yield loss.item() + norm.item()


def lightninged(steps):
    """Lightning's Trainer, with nothing switched on that can be switched off."""
    import lightning
    from lightning.pytorch.callbacks import Callback

    net, denoiser, data, objective, _ = parts()
    order, times = DataOrder(len(data), BATCH), []

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = net
            self.average = [p.detach().clone() for p in net.parameters()]

        def training_step(self, batch, step):
            return objective(denoiser, batch, step)

        def configure_optimizers(self):
            optimizer = torch.optim.AdamW(net.parameters(), 1e-3, fused=True)
            rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: min(1.0, (n + 1) / 101))
            return [optimizer], [{"scheduler": rate, "interval": "step"}]

    class Watch(Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, index):
            torch._foreach_lerp_(module.average, [p.detach() for p in net.parameters()], 0.001)
            outputs["loss"].item()
            times.append(time.process_time())

    class Batches(torch.utils.data.IterableDataset):
        def __iter__(self):
            return (data.batch(order.indices(step)) for step in range(steps))

    trainer = lightning.Trainer(
        accelerator="cpu",
        max_steps=steps,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=1.0,
        callbacks=[Watch()],
    )
    loader = torch.utils.data.DataLoader(Batches(), batch_size=None)
    trainer.fit(Module(), loader)
    return times


class Heard:
    """An observer that notes when steps are done."""

    def __init__(self):
        self.times = []

    def __call__(self, event):
        if type(event).__name__ == "Stepped":
            self.times.append(time.process_time())


def path():
    """A file for metrics."""
    import tempfile
    from pathlib import Path

    return Path(tempfile.mkdtemp(), "metrics.jsonl")


def timed(loop):
    """When the steps of a loop were done."""
    return [(time.process_time(), one)[0] for one in loop]


LOOPS = {
    "by hand": lambda n: timed(bare(n)),
    "diffx, nobody watching": lambda n: diffx(n, watched=False),
    "diffx as on the command line": lambda n: diffx(n, watched=True),
    "accelerate": lambda n: timed(accelerated(n)),
    "lightning": lightninged,
}
NEEDS = {"accelerate": "accelerate", "lightning": "lightning"}


def main():
    """Print the table."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    here = {name: loop for name, loop in LOOPS.items() if find_spec(NEEDS.get(name, "torch"))}
    found = {name: [] for name in here}
    for _ in range(ROUNDS):
        for name, loop in here.items():
            times = loop(WARM + STEPS)
            found[name].append((times[-1] - times[WARM - 1]) / STEPS * 1e6)
    base = statistics.median(found["by hand"])
    print(f"{'loop':30} {'us a step':>18} {'overhead':>9} {'of 50 ms':>9}")
    for name, times in found.items():
        middle = statistics.median(times)
        spread = f"{middle:.0f} ({min(times):.0f}-{max(times):.0f})"
        print(f"{name:30} {spread:>18} {middle - base:9.0f} {(middle - base) / 50e3:9.2%}")
    for name in LOOPS.keys() - here.keys():
        print(f"{name}: not installed")


if __name__ == "__main__":
    main()
