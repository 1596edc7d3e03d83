"""Files of data opened, compressed or not, up to what texts are: some are made to fill a memory."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from rmeval.errors import BadData, first_line
from rmeval.files import reading

SURELY_FITS, MOST_RATIO = 256 << 20, 100  # bytes unpacked; of text, gzip makes a tenth or so
SURELY_READ = 1_000_000  # rows; more of them take a byte each at least


def ending(name: str) -> str:
    """Returns what a file's name ends in, as READERS knows it: ".jsonl", ".csv.gz"."""
    suffixes = Path(name).suffixes[-2:]
    return "".join(suffixes if suffixes[-1:] == [".gz"] else suffixes[-1:])


@contextmanager
def open_data(file: Path) -> Iterator[IO[bytes]]:
    """Opens a file, which may be compressed. Raises BadData for one that does not unpack."""
    with reading(file), file.open("rb") as plain:
        if file.suffix != ".gz":
            yield plain
            return
        with _unpacking(file), gzip.open(plain) as unpacked:
            yield io.BufferedReader(_Bounded(cast(IO[bytes], unpacked), file))


@contextmanager
def _unpacking(file: Path) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        name = ending(file.name)
        raise BadData(f"{file}: not a readable {name} ({first_line(error)})") from error


def _most_unpacked(file: Path) -> int:
    return max(SURELY_FITS, MOST_RATIO * file.stat().st_size)


def _bomb(file: Path, what: str) -> BadData:
    return BadData(
        f"{file}: {what} of {file.stat().st_size:,} bytes: it may be a decompression bomb; if it "
        "is genuine, write it without compression, and pass that"
    )


class _Bounded(io.RawIOBase):
    """Reads what is unpacked from a file. Raises BadData where there is more than texts are."""

    def __init__(self, unpacked: IO[bytes], file: Path) -> None:
        self._unpacked, self._file, self._left = unpacked, file, _most_unpacked(file)

    def readable(self) -> bool:
        """As io asks."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills a buffer, and returns how far."""
        data = self._unpacked.read(len(buffer))
        buffer[: len(data)] = data
        self._left -= len(data)
        if self._left < 0:
            raise _bomb(self._file, f"more than {_most_unpacked(self._file):,} bytes come out")
        return len(data)


def refuse_bomb(file: Path, metadata: Any) -> None:
    """Raises BadData for a parquet file that says to hold what no file of its size does."""
    size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if size > _most_unpacked(file):
        raise _bomb(file, f"{size:,} bytes come out")
    if metadata.num_rows > max(SURELY_READ, file.stat().st_size):
        raise _bomb(file, f"{metadata.num_rows:,} rows come out")
