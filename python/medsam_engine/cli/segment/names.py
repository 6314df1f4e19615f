# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The names of the objects of `medsam-engine segment`, from --name or --names-from."""

from dataclasses import dataclass, replace
from pathlib import Path

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.box_files import read_names
from medsam_engine.io.labeled_boxes import LabeledBoxes


@dataclass(frozen=True)
class NameOptions:
    """What was asked for on the command line."""

    name: list[str]
    names_from: Path | None

    def check(self) -> None:
        """Says before an image is read that the options do not go together. InvalidArgument."""
        if self.name and self.names_from is not None:
            raise InvalidArgument("name: got --name and --names-from, expected one of them; leave one out")


def with_names(prompts: LabeledBoxes, options: NameOptions, max_bytes: int | None = None) -> LabeledBoxes:
    """`prompts` under the names that were asked for; those from a file stay where none were.

    Raises:
        InvalidArgument: another count of --name than of objects, or no name for a label in the file of --names-from.
    """
    wanted = prompts.names_by_label
    if options.name:
        if len(options.name) != len(wanted):
            raise InvalidArgument(
                f"--name: got {len(options.name)} for {len(wanted)} objects (labels "
                f"{_listed(list(wanted))}), expected one for each, in the order of the labels; add or leave out some"
            )
        return replace(prompts, names=tuple(options.name), named=True)
    if options.names_from is not None:
        known = read_names(options.names_from, max_bytes=max_bytes)
        missing = [label for label in wanted if label not in known]
        if missing:
            raise InvalidArgument(
                f"--names-from: got no name for label {_listed(missing)} in {options.names_from}, expected one for "
                f"each of {_listed(list(wanted))}; add it"
            )
        return replace(prompts, names=tuple(known[label] for label in wanted), named=True)
    return prompts


def _listed(labels: list[int]) -> str:
    return ", ".join(map(str, labels[:10])) + (", ..." if len(labels) > 10 else "")
