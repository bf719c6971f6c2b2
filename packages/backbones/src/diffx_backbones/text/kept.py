"""Encodings that are kept on disk, so that a text goes through a network once.

One SQLite file for each encoder holds the tokens of a text as float32, with a check sum. A file or
a row that is damaged is made again; nothing is lost with any of it.
"""

import logging
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import torch
from attrs import frozen
from torch import Tensor

from diffx_core import ConfigError, cache_folder

WAIT = 60.0
"""Seconds that a process waits for another one that writes."""
TABLE = "CREATE TABLE IF NOT EXISTS encoded (text BLOB PRIMARY KEY, sum INTEGER, tokens BLOB)"
log = logging.getLogger(__name__)


@frozen
class Kept:
    """The encodings of one encoder.

    Args:
        name: of the file; it says all that the encodings are a function of, besides the text.
        width: D, of a token.
    """

    name: str
    width: int

    @property
    def file(self) -> Path:
        """Where they are."""
        return cache_folder() / f"{self.name}.sqlite"

    def encodings(
        self, texts: Sequence[str], make: Callable[[list[str]], list[Tensor]]
    ) -> dict[str, Tensor]:
        """The tokens (l, D) of each text, made and kept where they are not there yet.

        Raises:
            ConfigError: the file cannot be written.
        """
        try:
            found = self._read(texts)
            missing = [text for text in texts if text not in found]
            if missing:
                made = dict(zip(missing, make(missing), strict=True))
                self._write(made)
                found |= made
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(
                f"encoded texts cannot be kept in {self.file} ({error}); set DIFFX_CACHE to a"
                " folder that can be written and has space"
            ) from error
        return found

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.file, timeout=WAIT)) as opened, opened:
            # a power cut may damage the file, which is then made again
            opened.execute("PRAGMA synchronous = OFF")
            opened.execute(TABLE)
            yield opened

    def _read(self, texts: Sequence[str]) -> dict[str, Tensor]:
        query = "SELECT sum, tokens FROM encoded WHERE text = ?"
        found: dict[str, Tensor] = {}
        try:
            with self._opened() as opened:
                for text in texts:
                    row = opened.execute(query, (text.encode(),)).fetchone()
                    if row is not None and zlib.crc32(row[1]) == row[0]:
                        numbers = torch.frombuffer(bytearray(row[1]), dtype=torch.float32)
                        found[text] = numbers.view(-1, self.width)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            log.warning("%s is damaged (%s) and is made again", self.file, error)
            self.file.unlink(missing_ok=True)
        return found

    def _write(self, made: Mapping[str, Tensor]) -> None:
        rows = []
        for text, tokens in made.items():
            numbers = tokens.contiguous().numpy().tobytes()
            rows.append((text.encode(), zlib.crc32(numbers), numbers))
        with self._opened() as opened:
            opened.executemany("INSERT OR REPLACE INTO encoded VALUES (?, ?, ?)", rows)
