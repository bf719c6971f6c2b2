"""The metrics of this package, as any plugin declares its own."""

from diffx_core import Component, hookimpl


@hookimpl
def diffx_metrics() -> list[Component]:
    """How good generated examples are."""
    return [
        Component(
            "frechet",
            "diffx_metrics.frechet:Frechet",
            "Frechet distance of features; FID on those of Inception",
        ),
        Component("kid", "diffx_metrics.kid:KID", "Kernel distance of features, without bias"),
        Component(
            "prdc", "diffx_metrics.prdc:PRDC", "Precision, recall, density and coverage of features"
        ),
        Component(
            "sliced_wasserstein",
            "diffx_metrics.sliced:SlicedWasserstein",
            "Wasserstein distance of the values, on lines through them",
        ),
        Component(
            "inception_score",
            "diffx_metrics.inception_score:InceptionScore",
            "How sure a classifier is of each example, and how many classes there are",
        ),
        Component(
            "fd_dinov2", "diffx_metrics.frechet:FrechetDino", "Frechet distance of DINOv2 features"
        ),
    ]
