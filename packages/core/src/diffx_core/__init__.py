"""diffx: any noise process, any network, any sampler, any data.

The public names of the core. They are imported on first use, so that `import diffx_core` does not
import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffx_core.brownian import BrownianSource as BrownianSource
    from diffx_core.cache import cache_folder as cache_folder
    from diffx_core.contract import require as require
    from diffx_core.dataset import NO_LABEL as NO_LABEL
    from diffx_core.dataset import Batch as Batch
    from diffx_core.dataset import Condition as Condition
    from diffx_core.dataset import Dataset as Dataset
    from diffx_core.dataset import DataSpec as DataSpec
    from diffx_core.dataset import Finish as Finish
    from diffx_core.dataset import Read as Read
    from diffx_core.denoiser import Backbone as Backbone
    from diffx_core.denoiser import Denoiser as Denoiser
    from diffx_core.denoiser import NetworkDenoiser as NetworkDenoiser
    from diffx_core.engine.averaging import Average as Average
    from diffx_core.engine.averaging import average_of as average_of
    from diffx_core.engine.averaging import reconstruct as reconstruct
    from diffx_core.errors import CheckpointError as CheckpointError
    from diffx_core.errors import ComponentError as ComponentError
    from diffx_core.errors import ConfigError as ConfigError
    from diffx_core.errors import DataError as DataError
    from diffx_core.errors import DiffxError as DiffxError
    from diffx_core.errors import NonFiniteError as NonFiniteError
    from diffx_core.errors import PluginError as PluginError
    from diffx_core.estimate import Decoding as Decoding
    from diffx_core.estimate import Estimate as Estimate
    from diffx_core.foreign import ForeignWeights as ForeignWeights
    from diffx_core.foreign import ImportedModel as ImportedModel
    from diffx_core.foreign import ImportsWeights as ImportsWeights
    from diffx_core.from_sde import SchedulerFromSDE as SchedulerFromSDE
    from diffx_core.grids import Grid as Grid
    from diffx_core.grids.optimal import OptimalGrid as OptimalGrid
    from diffx_core.grids.optimal import optimal_grid as optimal_grid
    from diffx_core.guidance import DPS as DPS
    from diffx_core.guidance import AnalyticFirstStep as AnalyticFirstStep
    from diffx_core.guidance import AnnealedCondition as AnnealedCondition
    from diffx_core.guidance import Autoguidance as Autoguidance
    from diffx_core.guidance import Blur as Blur
    from diffx_core.guidance import ClassifierFreeGuidance as ClassifierFreeGuidance
    from diffx_core.guidance import ClassifierGuidance as ClassifierGuidance
    from diffx_core.guidance import Downsample as Downsample
    from diffx_core.guidance import Extrapolation as Extrapolation
    from diffx_core.guidance import Grey as Grey
    from diffx_core.guidance import Mask as Mask
    from diffx_core.guidance import PiGDM as PiGDM
    from diffx_core.guidance import PlusPlus as PlusPlus
    from diffx_core.guidance import Projected as Projected
    from diffx_core.guidance import Replacement as Replacement
    from diffx_core.guidance import Rescaled as Rescaled
    from diffx_core.likelihood import Likelihood as Likelihood
    from diffx_core.likelihood import LogLikelihood as LogLikelihood
    from diffx_core.logger import FINISHED as FINISHED
    from diffx_core.logger import Logger as Logger
    from diffx_core.logger import require_library as require_library
    from diffx_core.noise import Noise as Noise
    from diffx_core.noise import NoiseSource as NoiseSource
    from diffx_core.objective import Objective as Objective
    from diffx_core.objective import Part as Part
    from diffx_core.objective import Terms as Terms
    from diffx_core.objective import TimeDensity as TimeDensity
    from diffx_core.options import ComesInSizes as ComesInSizes
    from diffx_core.options import EmaOptions as EmaOptions
    from diffx_core.options import GuidanceOptions as GuidanceOptions
    from diffx_core.options import ObjectiveOptions as ObjectiveOptions
    from diffx_core.options import Sized as Sized
    from diffx_core.options import SizeName as SizeName
    from diffx_core.options import one_of as one_of
    from diffx_core.pipeline import Drawing as Drawing
    from diffx_core.pipeline import Pipeline as Pipeline
    from diffx_core.pipeline import slerp as slerp
    from diffx_core.plugins import Component as Component
    from diffx_core.plugins import hookimpl as hookimpl
    from diffx_core.prediction import PREDICTIONS as PREDICTIONS
    from diffx_core.prediction import Level as Level
    from diffx_core.prediction import Prediction as Prediction
    from diffx_core.reached import Reached as Reached
    from diffx_core.sampler import Denoise as Denoise
    from diffx_core.sampler import Noises as Noises
    from diffx_core.sampler import Plan as Plan
    from diffx_core.sampler import Sampler as Sampler
    from diffx_core.sampler import StepNoise as StepNoise
    from diffx_core.sampler import grid_option as grid_option
    from diffx_core.sampling import sample as sample
    from diffx_core.sampling import states as states
    from diffx_core.scheduler import Capability as Capability
    from diffx_core.scheduler import Scheduler as Scheduler
    from diffx_core.swap import SwappedProcess as SwappedProcess
    from diffx_core.text import EncodedCaptions as EncodedCaptions
    from diffx_core.text import TextEncoder as TextEncoder
    from diffx_core.text import Tokens as Tokens

_HOME = {
    "brownian": ("BrownianSource",),
    "cache": ("cache_folder",),
    "contract": ("require",),
    "dataset": ("NO_LABEL", "Batch", "Condition", "DataSpec", "Dataset", "Finish", "Read"),
    "denoiser": ("Backbone", "Denoiser", "NetworkDenoiser"),
    "engine.averaging": ("Average", "average_of", "reconstruct"),
    "errors": (
        "CheckpointError",
        "ComponentError",
        "ConfigError",
        "DataError",
        "DiffxError",
        "NonFiniteError",
        "PluginError",
    ),
    "estimate": ("Decoding", "Estimate"),
    "foreign": ("ForeignWeights", "ImportedModel", "ImportsWeights"),
    "from_sde": ("SchedulerFromSDE",),
    "grids": ("Grid",),
    "grids.optimal": ("OptimalGrid", "optimal_grid"),
    "guidance": (
        "AnalyticFirstStep",
        "AnnealedCondition",
        "Autoguidance",
        "Blur",
        "ClassifierFreeGuidance",
        "ClassifierGuidance",
        "DPS",
        "Downsample",
        "Extrapolation",
        "Grey",
        "Mask",
        "PiGDM",
        "PlusPlus",
        "Projected",
        "Replacement",
        "Rescaled",
    ),
    "likelihood": ("Likelihood", "LogLikelihood"),
    "logger": ("FINISHED", "Logger", "require_library"),
    "noise": ("Noise", "NoiseSource"),
    "plugins": ("Component", "hookimpl"),
    "objective": ("Objective", "Part", "Terms", "TimeDensity"),
    "options": (
        "ComesInSizes",
        "EmaOptions",
        "GuidanceOptions",
        "ObjectiveOptions",
        "SizeName",
        "Sized",
        "one_of",
    ),
    "pipeline": ("Drawing", "Pipeline", "slerp"),
    "prediction": ("PREDICTIONS", "Level", "Prediction"),
    "reached": ("Reached",),
    "sampler": ("Denoise", "Noises", "Plan", "Sampler", "StepNoise", "grid_option"),
    "sampling": ("sample", "states"),
    "scheduler": ("Capability", "Scheduler"),
    "swap": ("SwappedProcess",),
    "text": ("EncodedCaptions", "TextEncoder", "Tokens"),
}
_MODULE_OF = {name: f"diffx_core.{module}" for module, names in _HOME.items() for name in names}

__all__ = sorted(_MODULE_OF)  # noqa: PLE0605  # computed, so that no name is written a third time


def __getattr__(name: str) -> Any:  # noqa: ANN401  # the types stand above, for those who read them
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'diffx_core' has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
