"""Steps of training, ours beside others': forward, backward and AdamW, by turns in one process.

    python tests/benchmarks/training.py --race dit --rounds 7

Float32 and bf16 (autocast), on one device, with the same loss, the same fused AdamW and the same
data for all. Shown are images per second (median over the rounds), the share of what plain products
of matrices reach on the machine at the same time, and the most memory that two steps of a process
of their own take besides what the libraries do, where what is freed is given back at once. "Ours"
is the first of a table, so many times as fast as each, in images and in operations.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from contestants import CONTESTANTS, Contestant, examples, work

SIDE = 1024
"""Of the matrices whose product is the peak."""
DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
COLUMNS = ["network", "parameters", "GFLOP", "images/s", "of the peak", "MiB", "ours is", "by work"]
PEAK = Path("/proc/self/clear_refs")
"""Where Linux is told to forget the peak so far."""
GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""With which glibc keeps nothing that was freed; else equal runs differ by up to 15%."""
STEPS_THERE_AND_BACK = 3
"""Operations of a step as a multiple of those of a call."""


class Training:
    """A network in training, one step at a time."""

    def __init__(
        self, contestant: Contestant, batch: int, device: torch.device, *, compiled: bool = False
    ) -> None:
        torch.manual_seed(0)
        self.contestant, self.device = contestant, device
        self.network = contestant.build().to(device).train()
        self.call = contestant.call
        if compiled or contestant.is_compiled:
            self.network = torch.compile(self.network)
        weights = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(weights, lr=1e-4, fused=True)
        x, t, y = (one.to(device) for one in examples(batch))
        self.given, self.target = (x, t, y), torch.randn_like(x)

    def step(self, dtype: torch.dtype) -> float:
        """Take one; returns how many seconds it took."""
        self._wait()
        start = time.perf_counter()
        is_mixed = dtype != torch.float32
        with torch.autocast(self.device.type, dtype, enabled=is_mixed):
            said = self.call(self.network, *self.given)
        nn.functional.mse_loss(said.float(), self.target).backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._wait()
        return time.perf_counter() - start

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def product(dtype: torch.dtype, device: torch.device) -> float:
    """Operations per second of one product of matrices."""
    a, b = torch.randn(2, SIDE, SIDE, device=device).to(dtype).unbind()
    a @ b
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    c: Tensor = a @ b
    c[0, 0].item()
    return 2 * SIDE**3 / (time.perf_counter() - start)


def timed(
    trainings: list[Training], dtype: torch.dtype, rounds: int
) -> tuple[dict[str, float], float]:
    """Seconds of a step by name, and the peak: medians of rounds by turns, after two to warm up."""
    seconds: dict[str, list[float]] = {one.contestant.name: [] for one in trainings}
    peaks = []
    for i in range(rounds + 2):
        peaks.append(product(dtype, trainings[0].device))
        first = i % len(trainings)  # whoever follows the product finds the caches full of it
        for one in trainings[first:] + trainings[:first]:
            took = one.step(dtype)
            if i >= 2:
                seconds[one.contestant.name].append(took)
    return {name: statistics.median(one) for name, one in seconds.items()}, max(peaks)


def most_memory(contestant: Contestant, dtype: str, options: argparse.Namespace) -> float:
    """MiB that two steps take in a process of their own."""
    told = ["--memory", contestant.name, "--dtype", dtype, "--batch", str(options.batch)]
    told += ["--device", options.device]
    command = [sys.executable, __file__, *told]
    environment = os.environ | GIVEN_BACK
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout.splitlines()[-1])


def own_memory(name: str, dtype: torch.dtype, batch: int, device: torch.device) -> float:
    """The same, of this process: what is held at most, less what is held before."""
    (contestant,) = [one for one in CONTESTANTS if one.name == name]
    contestant.build()  # what is imported on the way is not counted
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        PEAK.write_text("5", "ascii")
    before = _held("VmRSS")
    training = Training(contestant, batch, device)
    for _ in range(2):
        training.step(dtype)
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return _held("VmHWM") - before


def _held(kind: str) -> float:
    status = Path("/proc/self/status").read_text("ascii")
    (line,) = [one for one in status.splitlines() if one.startswith(f"{kind}:")]
    return int(line.split()[1]) / 1024


def report(options: argparse.Namespace) -> None:
    """Print a table for each race and type."""
    device = torch.device(options.device)
    for race in [options.race] if options.race else ["dit", "unet"]:
        racing = [one for one in CONTESTANTS if one.race == race]
        there = [one for one in racing if one.is_there]
        trainings = [
            Training(one, options.batch, device, compiled=options.compile) for one in there
        ]
        taken = {one.name: work(one) for one in there}
        for dtype in [options.dtype] if options.dtype else DTYPES:
            seconds, peak = timed(trainings, DTYPES[dtype], options.rounds)
            first = there[0].name
            print(f"\n{race}, {dtype}, batches of {options.batch}, peak {peak / 1e9:.0f} GFLOP/s\n")
            print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
            for one in racing:
                if one.name not in taken:
                    print(absent(one))
                    continue
                parameters, flop = taken[one.name]
                rate = options.batch / seconds[one.name]
                share = STEPS_THERE_AND_BACK * flop * rate / peak
                memory = most_memory(one, dtype, options)
                faster = seconds[one.name] / seconds[first]
                by_work = faster * taken[first].flop / flop
                print(
                    f"| {one.name} | {parameters / 1e6:.2f} M | {flop / 1e9:.2f} | {rate:.1f}"
                    f" | {share:.0%} | {memory:.0f} | {faster:.2f}x | {by_work:.2f}x |",
                    flush=True,
                )


def absent(contestant: Contestant) -> str:
    """The row of one that cannot be timed here."""
    return f"| {contestant.name} | {contestant.missing} is not installed |" + " |" * (
        len(COLUMNS) - 2
    )


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--race", choices=["dit", "unet"])
    parser.add_argument("--dtype", choices=[*DTYPES])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--memory", choices=[one.name for one in CONTESTANTS])
    return parser.parse_args()


if __name__ == "__main__":
    asked = arguments()
    torch.set_num_threads(asked.threads)
    if asked.memory:
        where = torch.device(asked.device)
        print(own_memory(asked.memory, DTYPES[asked.dtype], asked.batch, where))
    else:
        report(asked)
