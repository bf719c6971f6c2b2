"""From a request to evaluate to a file with the figures, on which work goes on if it was ended."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve

from diffx_cli.evaluate.evaluating import Evaluation, Series, guidance_of
from diffx_cli.evaluate.findings import FOUND, Findings
from diffx_cli.line.request import Request
from diffx_cli.output.kept import has_begun, unfinished
from diffx_cli.output.place import Place, claimed
from diffx_cli.output.results import results
from diffx_cli.output.writing import writing

FILE = "evaluation.json"


def evaluated(evaluation: Evaluation, request: Request) -> tuple[Path, dict[str, Any]] | None:
    """Measure and write; the file and what is in it, and nothing on other processes."""
    options = request.options
    if options.samples is not None:
        how = {"samples": str(options.samples), "sampler": None, "repeats": 1}
        with evaluation.model.place("evaluations", "samples", (FILE,)) as place:
            facts = {**evaluation.facts(), **how, **evaluation.given(options.samples)}
            return _written(place, facts), facts
    evaluation.judge.require(options.n)
    sampler = evaluation.model.method
    series = evaluation.series(sampler, options.n, options.repeats)
    protocol = {
        **evaluation.facts(),
        "samples": None,
        "nfe": sampler.nfe,
        "guidance": guidance_of(request),
        "n": options.n,
        "repeats": options.repeats,
    }
    order = _order(evaluation, protocol)
    evaluation.ranks.same("samples to evaluate", order)
    if not evaluation.ranks.is_first:
        evaluation.judged(series, None)
        return None
    with _begun(evaluation, request, series, order) as (place, findings):
        facts = {**protocol, **evaluation.judged(series, findings)}
        return _written(place, facts), facts


def _order(evaluation: Evaluation, protocol: dict[str, Any]) -> str:
    """All that is found in the samples depends on; not what is made of it."""
    judge, options = evaluation.judge, evaluation.model.request.options
    also = {"keep": judge.looking.keep, "batch_size": options.batch_size}
    return json.dumps({**protocol, **also}, sort_keys=True)


@contextmanager
def _begun(
    evaluation: Evaluation, request: Request, series: Series, order: str
) -> Iterator[tuple[Place, Findings]]:
    """The folder of the figures, and what has been found for them already."""
    options, parent = request.options, results(evaluation.model.home, "evaluations")
    out = options.out or unfinished(parent, FOUND, order)
    label = request.components["sampler"].registered.name
    how = {"overwrite": options.overwrite, "width": 4, "again": has_begun(out, FOUND)}
    with claimed(out, parent, label, (FILE,), **how) as place, writing(place.folder):
        findings = Findings(place.folder / FOUND, series.parts)
        findings.goes_on({"order": order}, out=options.out, overwrite=options.overwrite)
        try:
            # a file that is there was written by the same command, which was ended right then
            yield evolve(place, overwrite=True), findings
        except BaseException:
            findings.leave()
            raise
        findings.discard()


def _written(place: Place, facts: dict[str, Any]) -> Path:
    with writing(place.folder):
        text = json.dumps(facts, indent=2) + "\n"
        (place.partial / FILE).write_text(text, encoding="utf-8")
        place.publish()
    return place.folder / FILE
