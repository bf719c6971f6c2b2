"""The training loop, on one screen."""

import math
import time
from collections.abc import Sequence

import torch
from attrs import field, frozen
from torch import nn

from diffx_core.dataset import Dataset
from diffx_core.denoiser import NetworkDenoiser
from diffx_core.engine.ema import WeightAverage
from diffx_core.engine.events import Event, Finished, Observer, Started, Stepped
from diffx_core.engine.order import DataOrder
from diffx_core.engine.preflight import preflight
from diffx_core.engine.reading import read_ahead
from diffx_core.errors import DataError, NonFiniteError
from diffx_core.noise import key
from diffx_core.objective import Objective
from diffx_core.options import EmaOptions, TrainOptions


@frozen(eq=False)
class Trainer:
    """Trains the backbone of a denoiser.

    Args:
        denoiser: what is trained; its backbone is an `nn.Module`.
        dataset: what it is trained on.
        objective: what it is trained to do.
        options: how long and how fast.
        ema: how its weights are averaged.
        device: where.
        observers: who is told.
    """

    denoiser: NetworkDenoiser
    dataset: Dataset
    objective: Objective = field(factory=Objective)
    options: TrainOptions = TrainOptions()
    ema: EmaOptions = EmaOptions()
    device: torch.device = field(factory=lambda: torch.device("cpu"))
    observers: Sequence[Observer] = ()

    @property
    def model(self) -> nn.Module:
        """The network."""
        assert isinstance(self.denoiser.backbone, nn.Module)
        return self.denoiser.backbone

    @property
    def order(self) -> DataOrder:
        """Which examples each step sees."""
        return DataOrder(len(self.dataset), self.options.batch_size, self.objective.seed)

    def check(self) -> None:
        """Look at every component once: a `ComponentError` names one that breaks its contract."""
        if not len(self.dataset):
            raise DataError("the dataset is empty")
        model = self.model.to(self.device)
        learning = model.training
        model.eval()  # a look changes neither statistics nor the state of a generator
        preflight(self.denoiser, self.dataset, self.order, self.device)
        self.objective.check(self.denoiser)
        model.train(learning)

    def fit(self) -> WeightAverage:
        """Take all steps; the model is left with its own weights, the average is returned."""
        self.check()
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            return self._fit()

    def _fit(self) -> WeightAverage:
        options, model, order = self.options, self.model.train(), self.order
        objective = self.objective.to(self.device).train()
        learned = [*model.parameters(), *objective.parameters()]
        groups = [
            {"params": list(model.parameters()), "weight_decay": options.weight_decay},
            {"params": list(objective.parameters()), "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=options.lr, fused=True)
        average = WeightAverage(model, self.ema.decay)
        data, seed = self.dataset.on(self.device), self.objective.seed
        self._tell(Started(options.steps, options.batch_size, parameter_count(model)))
        start = time.perf_counter()
        with read_ahead(
            data,
            order,
            range(options.steps),
            seed=seed,
            device=self.device,
            workers=options.workers,
        ) as batches:
            for step, batch in enumerate(batches):
                torch.manual_seed(key(seed, "network", step))  # dropout, if there is any
                lr = learning_rate(options, step)
                for group in optimizer.param_groups:
                    group["lr"] = lr
                loss = objective(self.denoiser, batch, step)
                loss.backward()
                norm = nn.utils.clip_grad_norm_(learned, options.grad_clip)
                value, length = loss.item(), norm.item()
                if not math.isfinite(value + length):
                    raise NonFiniteError(
                        f"step {step + 1}: loss {value}, gradient norm {length}; "
                        "a lower learning rate may help"
                    )
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                average.update()
                self._tell(Stepped(step + 1, value, lr, length, time.perf_counter() - start))
        self._tell(Finished(options.steps, time.perf_counter() - start))
        return average

    def _tell(self, event: Event) -> None:
        for observer in self.observers:
            observer(event)


def learning_rate(options: TrainOptions, step: int) -> float:
    """The learning rate of a step: linear warm-up, then constant."""
    return options.lr * min(1.0, (step + 1) / (options.warmup + 1))


def parameter_count(model: nn.Module) -> int:
    """How many numbers of a model are trained."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
