"""Results of the commands that use a run, which are in its folder unless they are elsewhere."""

from pathlib import Path

RESULTS = (
    *("samples", "edit", "inpaint", "interpolate", "encode", "decode", "likelihood"),
    *("latent-plot", "evaluations", "comparisons", "exports"),
)
"""Folders of a run, in which each result has a folder of its own."""
OF_WEIGHTS = (*RESULTS, "report.html")
"""What tells of the weights of a run, and goes with them when another run takes their place."""


def results(run: Path, what: str) -> Path:
    """The folder for results of a kind, in that of the run."""
    assert what in RESULTS, f"{what}: would be left in the folder of another run"
    return run / what
