"""`diffx matrix`: pairs that work, that refuse each other and that break, each as a row."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from diffx_core.options import PredictionName
from diffx_core.plugins import Registry

PAGE = Path(__file__).parents[2] / "docs" / "matrix.md"

PLUGIN = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_samplers():
    return [
        Component("odd", "diffx_odd.odd:Odd", "For tests"),
        Component("gone", "diffx_odd.odd:Gone", "For tests"),
        Component("asks", "diffx_odd.odd:Asks", "For tests"),
    ]

@hookimpl
def diffx_schedulers():
    return [Component("loud", "diffx_odd.odd:Loud", "For tests")]
"""
SOURCE = """
from attrs import frozen
from diffx_core import Sampler, Scheduler

@frozen(kw_only=True)
class Loud(Scheduler):
    '''A process whose noise is not normal.'''
    def alpha(self, t):
        return 1 - t
    def sigma(self, t):
        return t.clone()
    def noise(self, source, shape, step):
        return source.normal(shape, step).sign()
    def offers(self):
        return frozenset()

@frozen(kw_only=True)
class Odd(Sampler):
    '''DDIM, and what is made of it.'''
    @property
    def rate(self):
        return RATE
    def needs(self):
        return NEEDS
    def start(self, plan):
        return None
    def step(self, denoise, x, i, plan, state, noise):
        print('working')
        STEP
        estimate = denoise(x, plan.times[i])
        return estimate.mix(plan.alpha[i + 1], plan.sigma[i + 1]), None

@frozen(kw_only=True)
class Asks(Odd):
    pace: float
"""
PLAIN = {"RATE": "1", "NEEDS": "frozenset()", "STEP": "pass"}


@pytest.fixture
def odd(fake_distribution):
    """A distribution with a sampler and a process of a stranger's."""

    def install(**changes):
        source = SOURCE
        for name, text in {**PLAIN, **changes}.items():
            source = source.replace(name, text)
        fake_distribution("diffx-odd", {"plugin": PLUGIN, "odd": source})

    return install


def records(diffx, *arguments):
    result = diffx("matrix", *arguments, "--json")
    assert result.rc == 0, result.err
    return json.loads(result.out)


def only(diffx, scheduler, sampler, *more):
    return records(diffx, "--schedulers", scheduler, "--samplers", sampler, *more)


def test_a_pair_that_works_has_its_order_and_the_same_samples_for_every_prediction(diffx):
    found = only(diffx, "vpsde", "heun")
    assert [one["prediction"] for one in found] == list(get_args(PredictionName))
    for one in found:
        assert (one["status"], one["declared"], one["plugin"]) == ("ok", 2, None)
        assert one["order"] == pytest.approx(2, abs=0.15)
        assert one["difference"] < 1e-9
        assert one["scheduler"]["qualified"] == "diffx-schedulers:vpsde"
        assert one["sampler"]["distribution"] == "diffx-samplers"


def test_a_pair_that_cannot_work_says_who_needs_what_and_who_does_not_offer_it(diffx):
    (one,) = only(diffx, "ddpm", "rk45", "--predictions", "v")
    assert (one["status"], one["order"], one["difference"]) == ("refused", None, None)
    assert re.search(
        r"the sampler rk45 \(diffx-samplers [\d.]+\) needs any_time, "
        r"which the scheduler ddpm \(diffx-schedulers [\d.]+\) does not offer",
        one["reason"],
    )


def test_a_strangers_components_appear_by_themselves(diffx, odd):
    odd()
    found = records(diffx, "--schedulers", "vpsde,loud", "--samplers", "odd,ddpm")
    status = {(one["scheduler"]["name"], one["sampler"]["name"]): one["status"] for one in found}
    assert status == {
        ("vpsde", "odd"): "ok",
        ("loud", "odd"): "ok",
        ("vpsde", "ddpm"): "ok",
        ("loud", "ddpm"): "refused",
    }
    everything = diffx("matrix", "--schedulers", "vpsde", "--predictions", "v").out
    assert re.search(r"^odd +1 +1\.00$", everything, re.MULTILINE)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"RATE": "2"}, "the error falls with order 1.00, declared is 2"),
        ({"STEP": "raise RuntimeError('no step\\ntoday')"}, "RuntimeError: no step today"),
        ({"STEP": "raise SystemExit(3)"}, "it called sys.exit(3)"),
        ({"STEP": "x = x + 0.1 * denoise(x, plan.times[i]).output"}, "network calls"),
        ({"NEEDS": "'reverse_sde'"}, "which the scheduler vpsde"),
    ],
    ids=["order", "raises", "exits", "calls", "needs"],
)
def test_a_broken_sampler_is_a_row_and_not_a_crash(diffx, odd, changes, reason):
    odd(**changes)
    found = records(diffx, "--schedulers", "vpsde", "--samplers", "ddim,odd", "--predictions", "v")
    assert found[0]["status"] == "ok"
    assert found[1]["status"] in ("failed", "refused")
    assert reason in found[1]["reason"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("gone", "cannot be loaded"), ("asks", "asks (diffx-odd 1.0) has no default for pace")],
)
def test_a_component_that_cannot_be_built_is_a_row(diffx, odd, name, reason):
    odd()
    (one,) = only(diffx, "vpsde", name, "--predictions", "v")
    assert one["status"] == "failed"
    assert reason in one["reason"]
    assert "diffx-odd" in one["reason"]


def test_a_broken_plugin_is_a_row(diffx, fake_distribution):
    fake_distribution("diffx-torn", {"plugin": "import nothing_of_this_name"})
    found = only(diffx, "vpsde", "ddim", "--predictions", "v")
    assert [one["status"] for one in found] == ["ok", "failed"]
    assert found[1]["plugin"] == {"name": "torn", "distribution": "diffx-torn"}
    assert "nothing_of_this_name" in found[1]["reason"]
    shown = diffx("matrix", "--schedulers", "vpsde", "--samplers", "ddim", "--predictions", "v")
    assert "failed: plugin 'torn' (diffx-torn 1.0) is disabled" in shown.out
    assert shown.out.splitlines()[-1] == "1 ok, 0 refused, 1 failed"


def test_the_formats_say_the_same(diffx):
    arguments = ("--schedulers", "vpsde,ddpm", "--samplers", "ddim,rk45", "--predictions", "v")
    table = diffx("matrix", *arguments).out
    page = diffx("matrix", *arguments, "--format", "markdown").out
    assert (
        diffx("matrix", *arguments, "--format", "json").out
        == diffx("matrix", *arguments, "--json").out
    )
    assert [line.split() for line in table.splitlines()[:3]] == [
        ["sampler", "declared", "vpsde", "ddpm"],
        ["ddim", "1", "1.00", "ok"],
        ["rk45", "5", "ok", "refused"],
    ]
    assert "| ddim | 1 | 1.00 | ok |" in page.splitlines()
    for text in (table, page):
        (line,) = [line for line in text.splitlines() if "refused: rk45 with ddpm" in line]
        assert "needs any_time" in line
        assert "* ddim with ddpm: no order: the process is in discrete time" in text


def test_a_table_is_as_wide_as_a_page_of_help(diffx):
    out = diffx("matrix", "--samplers", "ddim", "--predictions", "v").out
    grid = out.partition("\n*")[0].splitlines()
    assert max(map(len, grid)) <= 100
    shown = {word for line in grid if line.startswith("sampler") for word in line.split()}
    assert shown >= {one.name for one in Registry.load({}).all("scheduler")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--schedulers", "vpsd"), "--schedulers: unknown scheduler 'vpsd': did you mean"),
        (("--samplers", "vpsde"), "--samplers: unknown sampler 'vpsde'"),
        (("--predictions", "noise"), "--predictions"),
        (("--format", "html"), "--format"),
        (("--json", "--format", "markdown"), "exclude each other"),
    ],
)
def test_mistakes_are_one_line_each_before_anything_is_measured(diffx, arguments, message):
    result = diffx("matrix", *arguments)
    assert (result.rc, result.out, result.err.count("\n")) == (2, "", 1)
    assert message in result.err


def test_several_mistakes_are_told_together(diffx):
    result = diffx("matrix", "--schedulers", "nope", "--samplers", "never")
    assert result.rc == 2
    assert result.err.count("\n") == 2


def test_the_page_of_the_docs_has_every_component_and_the_orders_that_are_declared():
    registry = Registry.load({})
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    heading, _, *body = lines
    ours = {
        kind: [r for r in registry.all(kind) if r.distribution == f"diffx-{kind}s"]
        for kind in ("scheduler", "sampler")
    }
    assert heading == ["sampler", "declared", *(one.name for one in ours["scheduler"])]
    assert [row[0] for row in body] == [one.name for one in ours["sampler"]]
    for row, registered in zip(body, ours["sampler"], strict=True):
        sampler = registered.load()()
        assert int(row[1]) == sampler.rate
        numbers = [float(cell) for cell in row[2:] if cell not in ("ok", "refused")]
        assert all(number >= sampler.rate - 0.15 for number in numbers)
        assert bool(numbers) == (sampler.converges and sampler.nfe is not None)
        refused = dict(zip(heading[2:], row[2:], strict=True))["ddpm"] == "refused"
        assert refused == ("any_time" in sampler.needs())


def test_what_there_is_one_of_is_not_said_of_several(diffx):
    found = diffx(
        "matrix", "--schedulers", "vpsde", "--samplers", "ddim,heun", "--predictions", "v"
    )
    assert "note: 1 scheduler with 2 samplers," in found.err
