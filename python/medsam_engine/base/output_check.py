# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Says before any work that an output would replace something that is read, or cannot be written."""

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from medsam_engine.base.whole_file import check_writable
from medsam_engine.errors import InvalidArgument


def check_outputs(outputs: Mapping[str, Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuses outputs that cannot be written, are named twice, or are one file with anything that is read.

    Files are compared as the file system sees them: through links, hard links and other spellings of a name.

    Args:
        outputs: files to write by option, e.g. "--csv"; None = not asked for.
        inputs: files and folders that are read, at any time of the command; None = none. Of a folder every file counts.

    Raises:
        InvalidArgument: naming the output and the input.
    """
    wanted = {option: path for option, path in outputs.items() if path is not None}
    read = {key: file for path in inputs if path is not None for file in _files(path) for key in _keys(file)}
    seen: dict[tuple[object, ...], str] = {}
    for option, path in wanted.items():
        for key in _keys(path):
            if key in read:
                raise InvalidArgument(
                    f"output: got {path} for {option}, which is {read[key]}, expected different files; "
                    "nothing that is read is overwritten"
                )
            if seen.setdefault(key, option) != option:
                raise InvalidArgument(
                    f"output: got {path} twice, for {seen[key]} and {option}, expected different files; rename one"
                )
        check_writable(path)


class ReadFiles:
    """What a command reads over all of its cases, looked at once, for outputs that are checked one at a time.

    Unlike check_outputs, it costs an output the same however many files are read.
    """

    def __init__(self, inputs: Iterable[Path]) -> None:
        """Looks at files and folders; of a folder, whatever lies in it counts as read."""
        self._files: dict[tuple[object, ...], Path] = {}
        self._folders: dict[str, Path] = {}
        for path in inputs:
            if path.is_dir():
                self._folders[os.path.realpath(path)] = path
            else:
                self._files.update((key, path) for key in _keys(path))

    def check(self, option: str, output: Path) -> None:
        """InvalidArgument: `output`, which is to be written for `option`, is read or lies in a folder that is."""
        found = [self._files[key] for key in _keys(output) if key in self._files]
        folder = self._folders.get(os.path.realpath(output.parent))
        if found or folder is not None:
            raise InvalidArgument(
                f"output: got {output} for {option}, which {f'is {found[0]}' if found else f'lies in {folder}'}, "
                "expected different files; nothing that is read is overwritten"
            )


def check_output_folder(option: str, folder: Path | None, inputs: Iterable[Path | None]) -> None:
    """Refuses a folder to be made or replaced that is, holds, or lies in something that is read. InvalidArgument."""
    if folder is None:
        return
    if folder.exists() and not folder.is_dir():
        raise InvalidArgument(f"output: got {folder} for {option}, expected a folder; it is a file")
    own = folder.resolve()
    for path in inputs:
        if path is None:
            continue
        other = path.resolve()
        inside = other in own.parents  # also in what is not there yet, such as another folder of outputs
        if own == other or own in other.parents or inside or _same(own, other):
            raise InvalidArgument(
                f"output: got {folder} for {option}, which {'lies in' if inside else 'is or holds'} {path}, expected a "
                "folder apart from what is read; choose another"
            )


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _keys(path: Path) -> Iterator[tuple[object, ...]]:
    """What two names of one file have in common: the file, and the entry of its folder, there or not."""
    try:
        status = path.stat()
        yield status.st_dev, status.st_ino
    except OSError:
        pass  # absent, or a link that leads nowhere
    # Two names that differ in case or composition only are one file on some file systems, and a mistake on others.
    name = unicodedata.normalize("NFC", path.name).casefold()
    yield os.path.realpath(path.parent), name


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (entry for entry in path.iterdir() if not entry.is_dir())
    else:
        yield path
