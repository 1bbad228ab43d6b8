"""Making a copy of a database: a new file that is whole and on disk, or none."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from alir.errors import NameTaken, NotFound


def require_new(to: Path) -> None:
    """See that a file can be made at `to`, and that nothing is written over.

    Raises:
        NotFound: there is no folder for it.
        NameTaken: there is something already.
        OSError: it cannot be seen, or have such a name.
    """
    if to.is_dir():
        raise NameTaken(f"{to} is a folder; name a file in it.")
    if to.exists():
        raise NameTaken(f"{to} is there already, and nothing is written over; name another file.")
    if not to.parent.is_dir():
        raise NotFound(f"There is no folder {to.parent}.")


def make_copy(to: Path, write: Callable[[Path], None]) -> int:
    """Have `write` fill an empty file under another name, then give it its own; its size in bytes.

    Raises:
        NameTaken: something came to be at `to` meanwhile.
        OSError: the file cannot be made, or kept. Whatever is raised, nothing is left of it.
    """
    # Only who runs alir may read it: it holds what people were written.
    descriptor, name = tempfile.mkstemp(dir=to.parent, prefix=f"{to.name}.", suffix=".partial")
    try:
        write(Path(name))
        size = os.fstat(descriptor).st_size
        os.fsync(descriptor)
        _rename_to_new(Path(name), to)
    finally:
        os.close(descriptor)
        Path(name).unlink(missing_ok=True)
    return size


def _rename_to_new(there: Path, to: Path) -> None:
    """Give a file its name, unless something has taken it meanwhile."""
    try:
        os.link(there, to)
    except FileExistsError:
        require_new(to)
        raise
    except OSError:  # a file system without links, such as a memory stick's
        require_new(to)
        there.rename(to)
    folder = os.open(to.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
