"""From a request to sample to pictures: batch by batch, by any number of processes."""

import json
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from attrs import asdict, frozen

from diffx_cli.line.console import counted, note
from diffx_cli.line.request import Request
from diffx_cli.output.folders import newest_run
from diffx_cli.output.kept import has_begun, unfinished
from diffx_cli.output.place import Place, claimed
from diffx_cli.output.results import results
from diffx_cli.output.writing import writing
from diffx_cli.picture.film import is_picture, is_watchable
from diffx_cli.sample.batches import Batches, threads_of
from diffx_cli.sample.beside import beside, sha256_of
from diffx_cli.sample.drawn import KEPT, Drawn
from diffx_cli.sample.refusals import check_interval
from diffx_cli.sample.repeating import Record
from diffx_cli.sample.samples import WRITTEN, finish, shown
from diffx_cli.use.using import Used, used, weights_of
from diffx_core.config.run import plain
from diffx_core.engine.ranks import Ranks
from diffx_core.errors import ConfigError
from diffx_core.pipeline import Pipeline
from diffx_core.text import require_short

ALONE = Ranks()


@frozen(eq=False, slots=False)
class Sampling:
    """Samples that are about to be drawn.

    Args:
        batches: what is drawn.
        record: what says how they were made before, if they are made again.
    """

    batches: Batches
    record: Record | None

    @classmethod
    def prepare(cls, request: Request, loaded: Pipeline | None = None) -> Self:
        """Load the run and check that it can be sampled as it was asked.

        Args:
            request: what was asked for.
            loaded: the run, if that has been loaded already.

        Raises:
            ConfigError: the sampler, the process, the guidance or the labels do not suit the run.
            CheckpointError: there is no such run, or it is not the one of the record.
        """
        options, guidance = request.options, request.sections["guidance"]
        record = None if options.from_ is None else Record.read(options.from_)
        source = options.run or newest_run()
        source = source if record is None else record.source(source)
        model = used(request, nfe=options.nfe, source=source, loaded=loaded)
        _refuse(model)
        prompts = None if record is None else record.prompts(options.n, request.told)
        told = model.told(options.n, prompts)
        if told.prompts is not None and model.pipeline.text is not None:
            require_short(model.pipeline.text, told.prompts)
        rows = range(min(options.n, options.batch_size))
        first = told.of(rows)
        drawing = model.pipeline.drawing(
            len(rows),
            sampler=model.method,
            guidance=guidance,
            label=first.labels,
            prompt=first.prompts,
            image=beside(options.beside, rows, model.pipeline.spec),
            seed=options.seed,
        )
        check_interval(guidance, drawing)
        found = cls(Batches(model, drawing, told), record)
        if record is not None:
            record.require_same(source, found.plan)
        return found

    @cached_property
    def plan(self) -> dict[str, Any]:
        """What determines the samples, as plain JSON types."""
        model, told = self.batches.model, self.batches.told
        options, guidance = model.request.options, model.request.sections["guidance"]
        against = guidance.against
        return {
            **model.facts(),
            "guidance": plain(asdict(guidance)),
            "against_weights": None if against is None else weights_of(against),
            "labels": told.labels,
            "prompts": told.prompts,
            "beside": plain(options.beside),
            "beside_sha256": sha256_of(options.beside, options.n),
            "n": options.n,
            "batch_size": options.batch_size,
        }

    def facts(self, calls: int | None = None, threads: int | None = None) -> dict[str, Any]:
        """What reproduces the samples, as plain JSON types.

        Args:
            calls: how often the network was called, if that is known.
            threads: of each process that drew them; of this one if None.
        """
        nfe = self.batches.model.method.nfe or calls
        return {**self.plan, "nfe": nfe, "threads": threads or self._threads}

    def help(self, ranks: Ranks) -> None:
        """Draw this process's share of the samples, of which another one makes a whole."""
        ranks.same("samples to draw", self._order)
        work = json.loads(ranks.told(""))
        drawn = Drawn(Path(work["folder"]), self.batches.parts)
        self.batches.draw(work["todo"], drawn, work["threads"], ranks)

    def write(self, ranks: Ranks = ALONE) -> Path:
        """Draw the samples and write them; returns the file to look at.

        Args:
            ranks: the processes that share the work, of which this is the first.
        """
        ranks.same("samples to draw", self._order)
        if ranks.world > len(self.batches.parts):
            note(
                f"{counted(self.batches.n, 'sample')} in"
                f" {counted(len(self.batches.parts), 'batch', 'batches')} for {ranks.world}"
                " processes: a smaller --batch-size gives all of them some"
            )
        spec = self.batches.model.pipeline.spec
        with self._place() as place, writing(place.folder):
            drawn, threads = self._begun(place)
            try:
                todo = [] if drawn.is_whole else drawn.missing()
                where = {"folder": str(drawn.folder.resolve()), "todo": todo, "threads": threads}
                ranks.told(json.dumps(where))
                self.batches.draw(todo, drawn, threads, ranks)
                if not drawn.is_whole:
                    finish(drawn, self.batches, self.facts(drawn.calls(), threads))
                drawn.publish(place)
            except BaseException:
                drawn.leave()
                raise
        return place.folder / shown(spec)

    @property
    def _threads(self) -> int:
        recorded = None if self.record is None else int(self.record.facts["threads"])
        return recorded or threads_of()

    @cached_property
    def _order(self) -> str:
        """All that the files depend on."""
        options = self.batches.model.request.options
        also = {"trajectory": options.trajectory, "every": options.every, "export": options.export}
        return json.dumps({**self.plan, **also}, sort_keys=True)

    def _place(self) -> AbstractContextManager[Place]:
        """The folder of the samples: where they were begun, or a new one."""
        model = self.batches.model
        options, parent = model.request.options, results(model.home, "samples")
        out = options.out or unfinished(parent, KEPT, self._order)
        name = model.request.components["sampler"].registered.name
        how = {"overwrite": options.overwrite, "width": 4, "again": has_begun(out, KEPT)}
        return claimed(out, parent, name, WRITTEN, **how)

    def _begun(self, place: Place) -> tuple[Drawn, int]:
        """What has been drawn already, and by how many threads the rest is drawn."""
        options = self.batches.model.request.options
        drawn = Drawn(place.folder / KEPT, self.batches.parts)
        new = {"order": self._order, "threads": self._threads}
        plan = drawn.goes_on(new, out=options.out, overwrite=options.overwrite)
        return drawn, int(plan["threads"])


def _refuse(model: Used) -> None:
    """Refuse what cannot be shown or exported of the samples of a model."""
    options, spec, method = model.request.options, model.pipeline.spec, model.method
    if options.trajectory and not is_watchable(spec):
        raise ConfigError("--trajectory: shows images and points of the plane; these are neither")
    if options.trajectory and method.steps == 1:
        label = model.request.components["sampler"].label
        raise ConfigError(
            f"--trajectory: shows every step, and {label} makes one: say how many with --steps"
        )
    if "npz" in options.export and not is_picture(spec):
        raise ConfigError("--export npz: holds images, and this model makes none")
