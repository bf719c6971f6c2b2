"""The sections of a page, in the order in which they are read."""

from collections.abc import Callable
from functools import cached_property

from attrs import frozen

from diffx_cli.report import curves, frames, results, setup
from diffx_cli.report.axis import short
from diffx_cli.report.gathered import Gathered
from diffx_cli.report.model import CannotError, Model
from diffx_cli.report.parts import Lines, Missing, Part, Player, Section, Tiles
from diffx_cli.report.series import lost, number, pace, points, seconds, stretches
from diffx_core.engine.duties import NO_BETTER
from diffx_core.engine.observers.progress import duration
from diffx_core.engine.trainer import TIME_OVER

RECENT = 20
"""Lines of which the speed of a run is the middle."""


@frozen
class Account:
    """What is said of a run.

    Args:
        found: the run.
        model: its model.
        draw: draws samples on their way out of the noise; None if nobody wants that.
    """

    found: Gathered
    model: Model
    draw: Callable[[], list[Part]] | None

    @property
    def title(self) -> str:
        """The name of the run."""
        return self.found.folder.resolve().name

    @property
    def subtitle(self) -> str:
        """What it is made of."""
        wanted = ("dataset", "backbone", "scheduler", "text")
        named = self.found.components
        return " · ".join(named[kind].rpartition(":")[2] for kind in wanted if kind in named)

    @cached_property
    def sections(self) -> list[Section]:
        """All of them."""
        found = self.found
        return [
            Section("summary", "Summary", [*self._tiles(), *self._notes()]),
            Section("loss", "Loss", [*curves.losses(found), *curves.by_level(found)]),
            Section("training", "Learning rate, gradient, speed", curves.others(found)),
            Section("samples", "Samples over time", self._previews()),
            Section("denoising", "Denoising", self._denoising()),
            Section("evaluations", "Evaluations", results.evaluations(found)),
            Section("comparisons", "Comparisons", results.comparisons(found)),
            Section("schedule", "Noise schedule", self.model.schedule()),
            Section("configuration", "Configuration", setup.configuration(found)),
            Section("environment", "Environment", setup.environment(found)),
        ]

    def _tiles(self) -> list[Part]:
        found, wanted = self.found, number(self.found.config.get("train.steps"))
        losses, speed = points(found.rows, "loss"), pace(found.rows)[-RECENT:]
        held_out = points(found.rows, "validation_loss")
        try:
            size, spec = self.model.size()
            shape = " x ".join(map(str, spec.shape))
            parameters = ("parameters", _counted(size), f"for examples of {shape} numbers")
        except CannotError as failure:
            parameters = ("parameters", "unknown", str(failure))
        steps = "" if wanted is None else f"of {wanted:g}"
        tiles = [("steps", f"{found.step}", f"{steps}, {self._state()}".strip(", ")), parameters]
        if found.best is not None:
            tiles.append(("best held-out loss", short(found.best.value), f"step {found.best.step}"))
        elif held_out:
            step, value = min(held_out, key=lambda one: one[1])
            tiles.append(("best held-out loss", short(value), f"step {step}"))
        if losses:
            tiles.append(("last loss", short(losses[-1][1]), f"step {losses[-1][0]}"))
        if speed:
            middle = sorted(value for _, value in speed)[len(speed) // 2]
            taken = f"{duration(seconds(found.rows))} of training"
            tiles.append(("examples a second", short(float(f"{middle:.3g}")), taken))
        return [Tiles(tiles)]

    def _state(self) -> str:
        wanted, ending = number(self.found.config.get("train.steps")), self.found.ending
        if self.found.at_work:
            return "still training"
        if wanted is not None and self.found.step >= wanted and not ending:
            return "finished"
        return "ended as asked" if _was_asked_for(ending) else "ended early"

    def _notes(self) -> list[Part]:
        """What a person should know who reads this, and what has gone wrong."""
        found, said, bad = self.found, [], list(self.found.damages)
        wanted = number(found.config.get("train.steps"))
        if found.at_work:
            said.append("The run was still training when this page was made.")
        elif wanted is not None and (found.step < wanted or found.ending):
            ended = f"The run ended after step {found.step} of {wanted:g}"
            why = f": {found.ending}." if found.ending else ", and could not say why."
            (said if _was_asked_for(found.ending) else bad).append(ended + why)
        if not found.saved:
            bad.append("There is no checkpoint: the weights have not been saved.")
        elif not found.at_work and found.saved[0] < found.step:
            bad.append(f"The last checkpoint is that of step {found.saved[0]}.")
        broken = lost(found.rows, "loss")
        if broken:
            many = f", and {len(broken) - 5} more" if len(broken) > 5 else ""
            bad.append(f"The loss was not finite at step {', '.join(map(str, broken[:5]))}{many}.")
        starts = [one[0]["step"] for one in stretches(found.rows)[1:]]
        if starts:
            many = f" and {len(starts) - 5} more times" if len(starts) > 5 else ""
            said.append(f"The run went on at step {', '.join(map(str, starts[:5]))}{many}.")
        if not said and not bad:
            return [Lines(["The run ended as it should, and nothing was remarkable."])]
        parts: list[Part] = [Lines(bad, alarming=True)] if bad else []
        return [*parts, Lines(said)] if said else parts

    def _previews(self) -> list[Part]:
        found, shown, damaged = self.found, [], list[str]()
        for step, path in frames.spread(found.previews):
            label = f"step {step}"
            try:
                shown.append((label, frames.element(frames.read(path), f"samples after {label}")))
            except frames.UNREADABLE:
                damaged.append(f"{found.relative(path)}: is no picture, or a damaged one.")
        parts: list[Part] = [Lines(damaged, alarming=True)] if damaged else []
        if not shown:
            why = "No samples were drawn while it trained: --preview.every N does, of images."
            return [*parts, Missing(why)]
        about = "From the averaged weights, always of the same noise."
        if len(shown) < len(found.previews):
            about += f" {len(shown)} of {len(found.previews)} pictures."
        return [Player("Samples", shown, about, begins_at_end=True), *parts]

    def _denoising(self) -> list[Part]:
        for path in self.found.films[:1]:
            try:
                film = frames.moving(path)
            except frames.UNREADABLE:
                return [Missing(f"{self.found.relative(path)}: is no picture, or a damaged one.")]
            shown = [
                (f"picture {i + 1}", frames.element(one, f"samples, picture {i + 1}"))
                for i, one in film
            ]
            about = f"{self.found.relative(path)}, as diffx sample --trajectory made it."
            return [Player("From noise to data", shown, about)]
        if self.draw is None:
            why = (
                "Samples were neither drawn (--no-draw) nor filmed: diffx sample --trajectory does."
            )
            return [Missing(why)]
        return self.draw()


def _was_asked_for(ending: str) -> bool:
    """Whether an option of the run ended it, and nothing has gone wrong."""
    return ending.startswith(NO_BETTER) or ending.endswith(TIME_OVER)


def _counted(size: int) -> str:
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if size >= unit:
            return f"{size / unit:.3g} {letter}"
    return str(size)
