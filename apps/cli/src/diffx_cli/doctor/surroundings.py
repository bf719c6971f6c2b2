"""What is installed, and whether the device computes as the processor does."""

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, version

import torch
from packaging.requirements import InvalidRequirement, Requirement

from diffx_cli.doctor.finding import Finding, Visit, held
from diffx_cli.doctor.places import places
from diffx_core.errors import PluginError

SIDE = 256
"""Of the matrices that are multiplied."""
ROUNDING = 1e-2
"""Of a product of theirs: some accelerators round float32 factors to 11 bits."""


def environment(visit: Visit) -> Iterator[Finding]:
    """Versions, the device, and room on the disk."""
    part = "environment"
    for name in _distributions(visit):
        wrong = list(_unmet(name))
        yield Finding(
            part=part,
            what=f"what {name} {version(name)} requires is installed",
            status="fail" if wrong else "ok",
            detail=", ".join(wrong),
        )
    random = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, SIDE, SIDE, generator=random)
    exact = a.double() @ b.double()
    found = (a.to(visit.device) @ b.to(visit.device)).cpu().double()
    error = float((found - exact).abs().max() / exact.abs().max())
    detail = f"torch {torch.__version__}, python {platform.python_version()}"
    yield held(part, f"products of matrices are right on {visit.device}", error, ROUNDING, detail)
    yield from places(visit)


def plugins(visit: Visit) -> Iterator[Finding]:
    """Every plugin is loaded, and every class that one names is there."""
    part = "plugins"
    for broken in visit.registry.failures:
        yield Finding(part=part, what=broken.distribution, status="fail", detail=broken.diagnosis)
    offered: dict[str, int] = {}
    for one in visit.registry.all():
        try:
            one.load()
        except PluginError as error:
            yield Finding(part=part, what=one.label, status="fail", detail=error.problems[0])
        else:
            offered[one.distribution] = offered.get(one.distribution, 0) + 1
    for name, count in offered.items():
        word = "component is" if count == 1 else "components are"
        yield Finding(part=part, what=f"{count} {word} there", status="ok", detail=name)


def _distributions(visit: Visit) -> list[str]:
    """Ours, and those of whoever offers a component."""
    offering = {one.distribution for one in visit.registry.all()}
    offering |= {one.distribution for one in visit.registry.failures}
    return ["diffx-core", "diffx-cli", *sorted(offering - {"diffx-core", "diffx-cli"})]


def _unmet(name: str) -> Iterator[str]:
    for line in distribution(name).requires or ():
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            yield f"{line!r} is no requirement"
            continue
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            yield f"{wanted.name} is not installed"
        else:
            if not wanted.specifier.contains(found, prereleases=True):
                yield f"{wanted.name} is {found}, and should be {wanted.specifier}"
