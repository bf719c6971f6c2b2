"""Which features metrics are measured on, and what these need."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch

from diffx_cli.evaluate.reference import Reference
from diffx_core.dataset import DataSpec
from diffx_core.errors import ConfigError
from diffx_core.metric import Metric
from diffx_metrics.features.dinov2 import DinoV2
from diffx_metrics.features.inception import FILE, Inception
from diffx_metrics.features.kept import classifier_for
from diffx_metrics.features.random_conv import RandomConv
from diffx_metrics.features.seen import Features, Values

FeatureKind: TypeAlias = Literal["classifier", "random", "inception", "dinov2", "values"]


def default_features(spec: DataSpec, weights: Path | None) -> FeatureKind:
    """The features that suit data, if nobody says any."""
    if weights is not None:
        return "inception"
    if not spec.is_image:
        return "values"
    return "random" if spec.num_classes is None else "classifier"


def require_files(kinds: Iterable[str], fid_weights: Path | None, dinov2: Path | None) -> None:
    """Refuse features whose files are not named, and files that nothing is measured with.

    Raises:
        ConfigError: one is missing, or too many.
    """
    needs = {
        "inception": (
            "--fid-weights",
            fid_weights,
            f"--fid-weights {FILE}; classifier and random need none, for an FD that is no FID",
        ),
        "dinov2": ("--dinov2", dinov2, "--dinov2 FOLDER, of DINOv2 as transformers saves it"),
    }
    wanted, problems = set(kinds), []
    for kind, (flag, given, what) in needs.items():
        if kind in wanted and given is None:
            problems.append(f"features {kind}: need {what}")
        if kind not in wanted and given is not None:
            problems.append(f"{flag}: is for features {kind}, and nothing is measured on them")
    if problems:
        raise ConfigError(*problems)


def features_for(
    kind: str,
    reference: Reference,
    device: torch.device,
    *,
    fid_weights: Path | None,
    dinov2: Path | None,
) -> Features:
    """The features of a kind, ready to look.

    Raises:
        ConfigError: they do not suit the data.
        DataError: a file is not what it should be.
    """
    spec = reference.dataset.spec
    if kind == "random" and not spec.is_image:
        raise ConfigError("features random: are for images, and the data are none: take values")
    try:
        if kind == "classifier":
            return classifier_for(reference.dataset, reference.identity, device)
        if kind == "inception" and fid_weights is not None:
            return Inception.load(fid_weights, spec, device)
        if kind == "dinov2" and dinov2 is not None:
            return DinoV2.load(dinov2, spec, device)
    except ConfigError as error:
        raise ConfigError(*(f"features {kind}: {one}" for one in error.problems)) from error
    return RandomConv(spec=spec, device=device) if kind == "random" else Values()


def require_readable(
    metrics: Mapping[str, Metric], kind: str, features: Mapping[str, Features]
) -> None:
    """Refuse metrics that the features have nothing for.

    Raises:
        ConfigError: there are no logits.
    """
    problems = [
        f"metric {label}: needs a classifier, and features {kind} know no classes: take --features"
        " classifier or inception"
        for label, one in metrics.items()
        if one.reads == "logits" and not features[one.features or kind].knows_classes
    ]
    if problems:
        raise ConfigError(*problems)


def kinds_for(metrics: Iterable[Metric], kind: FeatureKind) -> list[str]:
    """All kinds of features that some metrics need, the chosen one first."""
    return list(dict.fromkeys([kind, *(one.features for one in metrics if one.features)]))


def facts_of(features: Mapping[str, Features]) -> dict[str, Any]:
    """What somebody needs to know of the features, by kind."""
    return {kind: {"name": one.name, **one.facts} for kind, one in features.items()}
