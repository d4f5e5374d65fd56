"""The files that commands read and write; each fault is one line with its remedy."""

import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from crossdock.kernel.process.errors import ProcessError

STDIN = Path("-")
STDIN_NAME = "stdin.jsonl"


class UnusableFileError(ProcessError):
    """An argument names a file that cannot be used."""


def reason_of(error: OSError) -> str:
    """Return the operating system's reason, as part of a sentence."""
    if isinstance(error, FileNotFoundError):
        return "it does not exist"
    reason = error.strerror or str(error)
    return reason[:1].lower() + reason[1:]


@contextmanager
def readable(file: Path) -> Iterator[Path]:
    """Yield a file that can be read several times: `file` itself, or a copy of a pipe or of `-`, stdin.

    Raises:
        UnusableFileError: if it cannot be read, or is empty.
    """
    with ExitStack() as stack:
        try:
            found = _regular(file, stack)
            size = found.stat().st_size
        except OSError as error:
            raise UnusableFileError(f"cannot read {file}: {reason_of(error)}") from None
        if not size:
            raise UnusableFileError(f"{file} is empty: write one request per line")
        yield found


def _regular(file: Path, stack: ExitStack) -> Path:
    if file != STDIN and file.is_file():
        file.open("rb").close()
        return file
    if file.is_dir():
        raise UnusableFileError(f"{file} is a directory: name a file of requests")
    copy = Path(stack.enter_context(TemporaryDirectory(prefix="crossdock-"))) / STDIN_NAME
    with copy.open("wb") as out:
        if file == STDIN:
            shutil.copyfileobj(sys.stdin.buffer, out)
        else:
            with file.open("rb") as given:
                shutil.copyfileobj(given, out)
    return copy


def write(path: Path, chunks: Iterable[bytes]) -> None:
    """Write `chunks` to `path`; the file appears only when it is complete.

    Raises:
        UnusableFileError: if it cannot be written; then nothing is left.
    """
    if path.is_dir():
        raise UnusableFileError(f"{path} is a directory: name a file to write")
    if not path.parent.is_dir():
        raise UnusableFileError(
            f"cannot write {path}: the folder {path.parent} does not exist; create it first"
        )
    is_special = path.exists() and not path.is_file()  # such as /dev/stdout
    place = path if is_special else path.with_name(f"{path.name}.partial")
    try:
        with place.open("wb") as out:
            out.writelines(chunks)
        if not is_special:
            place.replace(path)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UnusableFileError(f"cannot write {path}: {reason_of(error)}") from None
    finally:
        if not is_special:
            place.unlink(missing_ok=True)
