"""A model that is drawn from, one drawing at a time, each in a thread of its own.

What a drawing says on its way are plain JSON types. The thread hands them to the event loop of the
server, and leaves states out that the page has no time for: drawing never waits for the page.
"""

import asyncio
import json
import threading
import traceback
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

from attrs import define, field

from diffx_cli.line.console import command, complain
from diffx_cli.picture.film import seen
from diffx_cli.processes.devices import device_named
from diffx_cli.sample.batches import computing_by, threads_of
from diffx_cli.sample.sampling import Sampling
from diffx_cli.ui.asking import Home, asked, require_few
from diffx_cli.ui.looks import final, look
from diffx_core.config import flag
from diffx_core.engine.checkpoint import latest
from diffx_core.engine.layout import step_of
from diffx_core.errors import DiffxError
from diffx_core.pipeline import Pipeline
from diffx_core.plugins.registry import Registry
from diffx_core.reached import Reached

Event: TypeAlias = dict[str, Any]
LAST = ("done", "failed", "stopped")
"""What a drawing says last."""
INTERNAL = 1


class _StoppedError(Exception):
    """Somebody has stopped the drawing."""


@define(eq=False)
class Work:
    """A drawing that is under way.

    Args:
        do: draws; what it says goes to its argument.
        loop: that of the server.
    """

    do: Callable[["Work"], Event]
    loop: asyncio.AbstractEventLoop
    ended: threading.Event = field(factory=threading.Event, init=False)
    _stopping: threading.Event = field(factory=threading.Event, init=False)
    _hungry: threading.Event = field(factory=threading.Event, init=False)
    _events: "asyncio.Queue[Event]" = field(factory=asyncio.Queue, init=False)

    def begin(self) -> None:
        """Draw, in a thread that does not keep the program alive."""
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """End with the step that is under way; the page is told at once."""
        if not self.is_stopping:
            self._stopping.set()
            self.say({"event": "stopped"})

    @property
    def is_stopping(self) -> bool:
        """Whether somebody has stopped it."""
        return self._stopping.is_set()

    @property
    def has_time(self) -> bool:
        """Whether the page has taken all that was said."""
        return self._hungry.is_set()

    def check(self) -> None:
        """End here if somebody has stopped it."""
        if self.is_stopping:
            raise _StoppedError

    def say(self, event: Event) -> None:
        """Say something to the page."""
        self._hungry.clear()
        try:
            self.loop.call_soon_threadsafe(self._events.put_nowait, event)
        except RuntimeError:  # the server has ended
            self._stopping.set()

    async def events(self) -> AsyncIterator[Event]:
        """What is said, to the last."""
        while True:
            if self._events.empty():
                self._hungry.set()
            event = await self._events.get()
            yield event
            if event["event"] in LAST:
                return

    def _run(self) -> None:
        try:
            last = self.do(self)
        except _StoppedError:
            last = {"event": "stopped"}
        except DiffxError as error:
            last = {"event": "failed", "problems": error.problems, "code": error.exit_code}
        except Exception as error:  # noqa: BLE001 - the page hears of it, and the server goes on
            complain(traceback.format_exc())
            problem = f"internal error: {type(error).__name__}: {error}"
            last = {"event": "failed", "problems": [problem], "code": INTERNAL}
        self.ended.set()
        self.say(last)


@define(eq=False)
class Studio:
    """Draws from a run.

    Args:
        home: the run.
        registry: what is installed.
        pipeline: the run, loaded.
    """

    home: Home
    registry: Registry
    pipeline: Pipeline
    _work: Work | None = field(default=None, init=False)

    @classmethod
    def open(cls, home: Home, registry: Registry) -> "Studio":
        """Load the run.

        Raises:
            CheckpointError: there is no such run.
        """
        return cls(home, registry, _load(home, registry))

    async def begin(self, given: object) -> Work | None:
        """Begin to draw, once the last drawing has ended if that was stopped.

        Args:
            given: texts by the names of options.

        Returns:
            the drawing; None if another one is under way.
        """
        while self._work is not None and not self._work.ended.is_set():
            if not self._work.is_stopping:
                return None
            await asyncio.to_thread(self._work.ended.wait, 1.0)
        work = Work(lambda work: self._draw(given, work), asyncio.get_running_loop())
        self._work = work
        work.begin()
        return work

    def stop(self) -> None:
        """Stop the drawing that is under way, if there is one."""
        if self._work is not None:
            self._work.stop()

    def has_ended(self, seconds: float) -> bool:
        """Whether nothing is drawn any more, after so long at most."""
        return self._work is None or self._work.ended.wait(seconds)

    def _draw(self, given: object, work: Work) -> Event:
        """Draw what a page asks for."""
        request = asked(given, self.home, self.registry)
        self._refresh()
        spec = self.pipeline.spec
        require_few(request, spec)
        sampling = Sampling.prepare(request, self.pipeline)
        batches = sampling.batches
        drawing, columns, labels = batches.drawing, batches.columns, batches.told.labels
        work.check()
        steps, calls = drawing.plan.steps, 0
        begun = {"steps": steps, "n": drawing.n, "nfe": drawing.sampler.nfe, "labels": labels}
        work.say({"event": "begun", "step": self.pipeline.step, **begun})

        def observe(reached: Reached) -> None:
            nonlocal calls
            calls = reached.calls
            work.check()
            if work.has_time:
                shown = seen(drawing, spec, reached)
                looks = [look(one, spec, columns) for one in shown]
                work.say({"event": "state", "step": reached.step, "calls": calls, "looks": looks})

        threads = threads_of()
        with batches.model.blaming(), computing_by(threads):
            x = drawing.samples(drawing.n, observe).float()
        return {
            "event": "done",
            "calls": calls,
            "look": look(x, spec, columns),
            "picture": final(x, spec, columns, labels),
            "json": json.dumps(sampling.facts(calls, threads), indent=2) + "\n",
            "command": self._command(given),
        }

    def _command(self, given: object) -> str:
        """The command line that draws the same samples."""
        assert isinstance(given, dict), "it has been read"
        texts = given if self.home.device == "auto" else {**given, "device": self.home.device}
        flags = (word for key, text in texts.items() for word in (flag(key), text))
        return command("sample", self.home.source, *flags)

    def _refresh(self) -> None:
        """Take the newest checkpoint, of a run that goes on."""
        source = self.home.source
        if (source / "latest").exists() and step_of(latest(source)) != self.pipeline.step:
            self.pipeline = _load(self.home, self.registry)


def _load(home: Home, registry: Registry) -> Pipeline:
    device = device_named(home.device)
    return Pipeline.load(home.source, registry, device=device, text_root=home.text_root)
