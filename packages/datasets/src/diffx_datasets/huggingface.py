"""Images in a table of the library `datasets`, as Hugging Face publishes them."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from attrs.validators import and_, ge, le

from diffx_core import ConfigError, DataError
from diffx_datasets.captions import one_line, require_text
from diffx_datasets.classes import CAN_BE_SAID, classes_of
from diffx_datasets.decoding import UnreadableError, decoded
from diffx_datasets.examples import Examples
from diffx_datasets.large_images import LargeImages
from diffx_datasets.packing import Pixels
from diffx_datasets.tables import hub_caches, hub_table, library, local_table

Classes: TypeAlias = tuple[npt.NDArray[np.int64] | None, int | None]
"""Labels and how many classes there are, of which some may have no example; or neither."""


@frozen(kw_only=True)
class HuggingFace(LargeImages):
    """Images in a table that is on this machine, or on the Hub.

    Args:
        root: a folder that save_to_disk has made, a folder of parquet files, or a parquet file.
        name: instead of a root, what the table is called on the Hub.
        subset: which part of a table of the Hub, if it has several.
        split: of the table, if it has several.
        download: fetch a table of the Hub, if it is not in the library's cache.
        image: the column of images; by default the only one.
        label: the column of classes; by default the only one, if there is one.
        caption: the column of texts, which an encoder can read; by default none.
        num_classes: how many classes there are, of which some may have no example here; by default
            what the column says, or else one more than the highest label.
        size: side of the images in pixels; the largest centred square is resized to it.
        grey: keep brightness only.
    """

    root: Path | None = None
    name: str | None = None
    subset: str | None = None
    split: str = "train"
    download: bool = False
    image: str | None = None
    label: str | None = None
    caption: str | None = None
    num_classes: int | None = field(default=None, validator=CAN_BE_SAID)
    size: int = field(default=64, validator=and_(ge(4), le(1024)))
    grey: bool = False

    def __attrs_post_init__(self) -> None:
        if (self.root is None) == (self.name is None):
            raise ConfigError("needs --dataset.root, or --dataset.name of a table of the Hub")
        if self.name is not None and not self.download:
            raise ConfigError(
                f"{self.name} is on the Hub: say --dataset.download true, or place its parquet"
                " files in a folder and name that with --dataset.root"
            )

    def examples(self) -> Examples:
        """The rows of the table."""
        table, facts = self._table()
        if not len(table):
            self._refuse("is empty")
        kinds = library()
        image = self._column(table, kinds.Image, self.image, "image")
        label, classes = self._label(table, kinds.ClassLabel)
        if self.caption is not None and self.caption not in table.features:
            self._refuse(f"has no column {self.caption}, but {', '.join(table.features)}")
        raw = table.cast_column(image, kinds.Image(decode=False))
        captions = None if self.caption is None else Texts(raw, self.caption)
        return Examples(
            name="huggingface",
            facts={
                "table": facts,
                "columns": (image, self.label, self.caption),
                "classes": classes,
                "options": (str(self._place()), self.split, self.size, self.grey),
            },
            shape=(1 if self.grey else 3, self.size, self.size),
            readable=Rows(
                raw.select_columns([image]),
                image,
                self._place(),
                self.size,
                self.grey,
                self._homes(),
                captions,
            ),
            label=label,
            num_classes=classes,
            captions=captions,
        )

    def _table(self) -> tuple[Any, list[object]]:
        if self.root is not None:
            return local_table(self.root, self.split)
        assert self.name is not None, "one of both is there"
        return hub_table(self.name, self.subset, self.split)

    def _place(self) -> str:
        return str(self.name or self.root)

    def _homes(self) -> tuple[Path, ...]:
        """The folders in which a table may name files."""
        if self.root is None:
            return hub_caches()
        return (self.root if self.root.is_dir() else self.root.parent,)

    def _column(self, table: Any, kind: type, chosen: str | None, what: str) -> str:  # noqa: ANN401
        columns = [
            str(name) for name, feature in table.features.items() if isinstance(feature, kind)
        ]
        wanted = columns if chosen is None else [one for one in columns if one == chosen]
        if len(wanted) != 1:
            found = ", ".join(columns) or f"none among {', '.join(table.features)}"
            self._refuse(f"has as columns of {what}s {found}; --dataset.{what} names one")
        return wanted[0]

    def _label(self, table: Any, kind: Any) -> Classes:  # noqa: ANN401
        chosen, where = self.label, f"huggingface: {self._place()}"
        if chosen is None:
            if not any(isinstance(feature, kind) for feature in table.features.values()):
                return None, classes_of(None, self.num_classes, where)
            chosen = self._column(table, kind, None, "label")
        if chosen not in table.features:
            self._refuse(f"has no column {chosen}, but {', '.join(table.features)}")
        values = np.asarray(table.with_format("numpy")[chosen][:])
        if values.dtype.kind not in "iu" or values.ndim != 1 or values.min() < 0:
            self._refuse(f"has other things in {chosen} than whole numbers from 0")
        highest, feature = int(values.max()), table.features[chosen]
        told = feature.num_classes if isinstance(feature, kind) else None
        if told is not None and highest >= told:
            self._refuse(f"has the label {highest} in {chosen}, which has {told} classes")
        if told is not None and self.num_classes is not None and self.num_classes < told:
            self._refuse(
                f"has {told} classes in {chosen}, more than --dataset.num_classes"
                f" {self.num_classes}: leave that out"
            )
        classes = classes_of(values, self.num_classes, where, told)
        return values.astype(np.int64), classes

    def _refuse(self, reason: str) -> NoReturn:
        raise DataError(f"huggingface: {self._place()} {reason}")


@frozen(eq=False)
class Rows:
    """Images of a table by row.

    Args:
        table: of images alone, which are not decoded.
        column: of the images.
        name: of the table, for messages.
        size: side in pixels.
        grey: keep brightness only.
        homes: the folders in which it may name files; what is not absolute is in the first.
        captions: one about each image; an image without one cannot be used.
    """

    table: Any = field(repr=False)
    column: str
    name: str
    size: int
    grey: bool
    homes: tuple[Path, ...]
    captions: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.table)

    def pixels(self, position: int) -> Pixels:
        """The image of a row: its bytes, or the file that it names."""
        require_text(self.captions, position)
        found = self.table[position][self.column]
        if found is None or (found["bytes"] is None and found["path"] is None):
            raise UnreadableError("is empty")
        content = found["bytes"]
        file = self._file(found["path"]) if content is None else io.BytesIO(content)
        return decoded(file, self.size, grey=self.grey)

    def _file(self, named: str) -> Path:
        """A file that a row names: a table of someone else's must not read any file of ours."""
        homes = [one.resolve() for one in self.homes]
        try:
            file = (homes[0] / named).resolve()
        except ValueError as error:
            raise UnreadableError(f"names a file that cannot be ({error})") from None
        if not any(file.is_relative_to(one) for one in homes):
            raise UnreadableError(f"names {named}, which is outside of {self.homes[0]}")
        return file

    def place(self, position: int) -> str:
        """The row of a table."""
        return f"row {position} of {self.name}"


@frozen(eq=False)
class Texts(Sequence[str]):
    """Texts of a table by row.

    Args:
        table: with the texts.
        column: of the texts.
    """

    table: Any = field(repr=False)
    column: str

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, position: int) -> str:  # type: ignore[override] # never a slice
        """A text, or an `UnreadableError` with the reason why there is none."""
        try:
            text = self.table[self.column][position]
        except UnicodeDecodeError:
            raise UnreadableError(f"has no caption ({self.column} is not UTF-8)") from None
        if not isinstance(text, str):
            raise UnreadableError(f"has no caption ({self.column} is no text: {text!r:.40})")
        return one_line(text)
