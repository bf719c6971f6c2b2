"""What a section of a page is made of, besides charts: the template knows each by its kind."""

from collections.abc import Sequence
from typing import ClassVar

from attrs import frozen
from markupsafe import Markup

from diffx_cli.report.chart import Chart


@frozen
class Missing:
    """What is said in the place of what there is not.

    Args:
        text: what, why, and how one would get it.
    """

    kind: ClassVar[str] = "missing"
    text: str


@frozen
class Lines:
    """Sentences, one below the other.

    Args:
        lines: the sentences.
        alarming: whether something has gone wrong.
    """

    kind: ClassVar[str] = "lines"
    lines: Sequence[str]
    alarming: bool = False


@frozen
class Table:
    """A table.

    Args:
        title: what it is about.
        head: of its columns.
        rows: of cells.
        about: a line below.
    """

    kind: ClassVar[str] = "table"
    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    about: str = ""


@frozen
class Facts:
    """Names with their values.

    Args:
        title: whose they are.
        pairs: of a name and a value.
    """

    kind: ClassVar[str] = "facts"
    title: str
    pairs: Sequence[tuple[str, str]]


@frozen
class Tiles:
    """The few figures that matter most, in large letters.

    Args:
        tiles: of each, what it is, the value, and what else to say of it.
    """

    kind: ClassVar[str] = "tiles"
    tiles: Sequence[tuple[str, str, str]]


@frozen
class Text:
    """A file, as it is.

    Args:
        title: its name.
        text: what it holds.
    """

    kind: ClassVar[str] = "text"
    title: str
    text: str


@frozen
class Player:
    """Pictures of which one is seen at a time, chosen by a slider.

    Args:
        title: what they show.
        frames: of each, its label and its element.
        about: a line below.
        begins_at_end: whether the last is seen first, or the first.
    """

    kind: ClassVar[str] = "player"
    title: str
    frames: Sequence[tuple[str, Markup]]
    about: str = ""
    begins_at_end: bool = False


Part = Chart | Missing | Lines | Table | Facts | Tiles | Text | Player


@frozen
class Section:
    """A part of the page with a heading.

    Args:
        id: of the heading, for links.
        title: the heading.
        parts: what is below it.
    """

    id: str
    title: str
    parts: Sequence[Part]

    @property
    def missing(self) -> str | None:
        """Why there is nothing to see; None if there is something."""
        said = [one.text for one in self.parts if isinstance(one, Missing)]
        return said[0] if len(said) == len(self.parts) and said else None
