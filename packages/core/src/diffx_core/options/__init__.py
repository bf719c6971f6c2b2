"""The options of a run that belong to no component.

Kept apart from what uses them, so that help needs no torch.
"""

from diffx_core.options.checks import one_of as one_of
from diffx_core.options.ema import EmaKind as EmaKind
from diffx_core.options.ema import EmaOptions as EmaOptions
from diffx_core.options.guidance import DEFAULT_SAMPLER as DEFAULT_SAMPLER
from diffx_core.options.guidance import RULE_PARAMETERS as RULE_PARAMETERS
from diffx_core.options.guidance import GuidanceOptions as GuidanceOptions
from diffx_core.options.guidance import RuleName as RuleName
from diffx_core.options.objective import ABSOLUTE as ABSOLUTE
from diffx_core.options.objective import DEFAULTS as DEFAULTS
from diffx_core.options.objective import PARAMETERS as PARAMETERS
from diffx_core.options.objective import BaseTimesName as BaseTimesName
from diffx_core.options.objective import Default as Default
from diffx_core.options.objective import LossName as LossName
from diffx_core.options.objective import ObjectiveOptions as ObjectiveOptions
from diffx_core.options.objective import PredictionName as PredictionName
from diffx_core.options.objective import TimesName as TimesName
from diffx_core.options.objective import WeightingName as WeightingName
from diffx_core.options.sizes import ComesInSizes as ComesInSizes
from diffx_core.options.sizes import Sized as Sized
from diffx_core.options.sizes import SizeName as SizeName
from diffx_core.options.training import OptimizerName as OptimizerName
from diffx_core.options.training import PrecisionName as PrecisionName
from diffx_core.options.training import PreviewOptions as PreviewOptions
from diffx_core.options.training import RateName as RateName
from diffx_core.options.training import SaveOptions as SaveOptions
from diffx_core.options.training import TrainOptions as TrainOptions
from diffx_core.options.training import ValidateOptions as ValidateOptions
