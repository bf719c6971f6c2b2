"""What draws for the page: it can be stopped, survives what goes wrong, and says what that was."""

import asyncio
import threading

import pytest
import torch

from diffx_cli.ui.asking import Home
from diffx_cli.ui.studio import Studio
from diffx_core.plugins import Registry

LONG = {"sampler": "euler", "nfe": "1000", "n": "200"}
SHORT = {"sampler": "euler", "nfe": "5", "n": "2"}


@pytest.fixture(scope="module")
def studio(digits_run):
    return Studio.open(Home(digits_run, "cpu"), Registry.load())


@pytest.fixture
def hooked(studio):
    """Call a function with the number of each call of the network; it may change the result."""
    handles, calls = [], []

    def hook(function):
        def called(module, arguments, output):
            calls.append(1)
            return function(len(calls), output)

        network = studio.pipeline.denoiser.backbone
        handles.append(network.register_forward_hook(called))
        return calls

    yield hook
    for one in handles:
        one.remove()


@pytest.fixture
def drawn(studio, elsewhere):
    """All that is said, once the drawing has ended."""

    async def draw(texts, hear):
        work, said = await studio.begin(texts), []
        async for event in work.events():
            hear(work, event)
            said.append(event)
        await asyncio.to_thread(work.ended.wait)
        return said

    return lambda texts, hear=lambda work, event: None: elsewhere(draw(texts, hear))


def test_a_stopped_drawing_calls_the_network_no_more(studio, hooked, drawn):
    calls = hooked(lambda count, output: output)
    said = drawn(LONG, lambda work, event: event["event"] == "state" and work.stop())
    assert said[-1] == {"event": "stopped"}
    assert 1 <= len(calls) < 1000
    assert studio.has_ended(0)


def test_a_page_that_is_slow_misses_states_and_not_the_samples(studio, hooked, elsewhere, drawn):
    waits = threading.Event()
    hooked(lambda count, output: waits.wait() and output)

    async def run():
        work = await studio.begin({**SHORT, "nfe": "50"})
        events = work.events()
        said = [await anext(events)]
        state = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)  # now it waits for the state, before there is one
        waits.set()
        said.append(await state)
        await asyncio.to_thread(work.ended.wait)  # it has looked away until all was over
        return said + [one async for one in events]

    said = elsewhere(run())
    assert [one["event"] for one in said[:2]] == ["begun", "state"]
    assert said[-1]["event"] == "done"
    assert len(said) <= 4
    assert said[-1] == drawn({**SHORT, "nfe": "50"})[-1]


def test_a_model_that_breaks_on_the_way_is_named(hooked, drawn):
    hooked(lambda count, output: output * torch.nan if count > 3 else output)
    said = drawn(SHORT)
    assert {one["event"] for one in said[1:-1]} == {"state"}
    assert (said[-1]["event"], said[-1]["code"]) == ("failed", 3)
    (problem,) = said[-1]["problems"]
    assert problem.startswith(
        "backbone unet (diffx-backbones 0.1.0): returned numbers that are not"
    )


def test_what_nobody_has_foreseen_is_said_and_the_next_drawing_works(drawn, capsys, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("lost")

    with monkeypatch.context() as patch:
        patch.setattr("diffx_cli.ui.studio.look", broken)
        said = drawn(SHORT)
    assert said[-1]["problems"] == ["internal error: RuntimeError: lost"]
    assert "Traceback" in capsys.readouterr().err
    assert drawn(SHORT)[-1]["event"] == "done"
