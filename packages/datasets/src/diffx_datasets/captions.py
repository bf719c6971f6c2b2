"""Texts about images in a folder: a file beside each of them, or one file about all.

    txt      sea/1.png and sea/1.txt
    jsonl    metadata.jsonl with lines such as {"file_name": "sea/1.png", "text": "waves at noon"}

Both are UTF-8. A text is one line: what stands in several is joined by spaces.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, overload

from attrs import frozen

from diffx_core import DataError
from diffx_datasets.decoding import UnreadableError
from diffx_datasets.examples import OnBad
from diffx_datasets.packing import stamp

CaptionFiles = Literal["txt", "jsonl"]
METADATA = "metadata.jsonl"
COLUMNS = ("text", "caption")
LONGEST = 2**16
"""Bytes of a text; a file with more is no caption."""


@frozen
class Beside(Sequence[str]):
    """Texts in files beside images, read when they are asked for.

    Args:
        images: paths of the images.
    """

    images: Sequence[Path]

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, position: int) -> str: ...
    @overload
    def __getitem__(self, position: slice) -> "Beside": ...
    def __getitem__(self, position: int | slice) -> "str | Beside":
        """A text, or an `UnreadableError` with the reason why there is none."""
        if isinstance(position, slice):
            return Beside(self.images[position])
        file = self.images[position].with_suffix(".txt")
        try:
            with file.open("rb") as opened:
                found = opened.read(LONGEST + 1)
            if len(found) > LONGEST:
                raise UnreadableError(f"has {file.name} beside it, too long for a caption")
            return one_line(found.decode())
        except UnicodeDecodeError:
            raise UnreadableError(f"has {file.name} beside it, which is not UTF-8") from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise UnreadableError(f"has no caption ({file.name}: {reason})") from error


@frozen
class Listed(Sequence[str]):
    """Texts of one file, of which some images may have none.

    Args:
        names: of the images, as the file has them.
        texts: the number of the line and the text, by name.
    """

    names: Sequence[str]
    texts: Mapping[str, tuple[int, str]]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, position: int) -> str:  # type: ignore[override] # never a slice
        """A text, or an `UnreadableError` with the reason why there is none."""
        name = self.names[position]
        if name not in self.texts:
            raise UnreadableError(f"has no caption ({METADATA} has no line about {name})")
        number, text = self.texts[name]
        try:
            return one_line(text)
        except UnreadableError as error:
            raise UnreadableError(f"has no caption ({METADATA}:{number} {error})") from None


def captions_of(
    root: Path, images: Sequence[Path], files: CaptionFiles, on_bad: OnBad
) -> tuple[Sequence[str], object]:
    """The texts about images, and what tells their files from other versions of them.

    Args:
        root: the folder of the images.
        images: their paths.
        files: where the texts are.
        on_bad: whether images without one may be left out.

    Raises:
        DataError: the file about all of them cannot be read, is about other images, or lacks some
            that may not be left out.
    """
    if files == "txt":
        beside = (image.with_suffix(".txt") for image in images)
        return Beside(images), [stamp(one) if one.is_file() else None for one in beside]
    metadata = root / METADATA
    try:
        texts = dict(_lines(metadata))
        stamped = stamp(metadata)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise DataError(f"image_folder: {metadata} cannot be read: {reason}") from error
    names = [image.relative_to(root).as_posix() for image in images]
    if unknown := sorted(texts.keys() - set(names)):
        raise DataError(f"image_folder: {metadata}: there is no image {unknown[0]} in {root}")
    missing = [name for name in names if name not in texts]
    if missing and on_bad == "error":
        raise DataError(
            f"image_folder: {metadata} has no caption for {missing[0]}"
            f" ({len(missing)} of {len(names)} images have none); write one, or leave such images"
            " out with --dataset.on_bad skip"
        )
    listed = Listed(names, texts)
    if on_bad == "error":
        _check(listed, root)
    return listed, stamped


def one_line(text: str) -> str:
    """A text without line breaks, and without spaces at its ends.

    Raises:
        UnreadableError: it has a surrogate, which JSON can say and no encoder of text can read.
    """
    joined = " ".join(text.split())
    try:
        joined.encode()
    except UnicodeEncodeError as error:
        half = ascii(joined[error.start])
        raise UnreadableError(f"has a text with {half}, half of a character") from None
    return joined


def require_text(captions: Sequence[str] | None, position: int) -> None:
    """Refuse an image whose text cannot be read, if texts are wanted at all.

    Raises:
        UnreadableError: it cannot.
    """
    if captions is not None:
        captions[position]


def _check(listed: Listed, root: Path) -> None:
    """Refuse a text that cannot be used before any image is decoded."""
    for position, name in enumerate(listed.names):
        try:
            listed[position]
        except UnreadableError as error:
            raise DataError(
                f"image_folder: {root / name}: {error}; mend it, or leave such images out with"
                " --dataset.on_bad skip"
            ) from error


def _lines(metadata: Path) -> Iterator[tuple[str, tuple[int, str]]]:
    seen: set[str] = set()
    with metadata.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                name, text = _pair(line, f"image_folder: {metadata}:{number}")
                if name in seen:
                    raise DataError(f"image_folder: {metadata}:{number}: {name} is there twice")
                seen.add(name)
                yield name, (number, text)


def _pair(line: str, where: str) -> tuple[str, str]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: is not JSON ({error})") from None
    row = row if isinstance(row, dict) else {}
    texts = [row[column] for column in COLUMNS if isinstance(row.get(column), str)]
    name = row.get("file_name")
    if not isinstance(name, str) or len(texts) != 1:
        raise DataError(f'{where}: needs "file_name" and one of "text" and "caption", as texts')
    return name, texts[0]
