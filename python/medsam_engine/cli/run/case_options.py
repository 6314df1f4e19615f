# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The options of `medsam-engine run` that say which cases are done, and where their answers go."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from medsam_engine.base.addresses import is_url
from medsam_engine.errors import InvalidArgument

Cases = Annotated[
    str | None,
    typer.Argument(
        metavar="CASES",
        help="A table with one row per object (file,name,x0,y0,z0,x1,y1,z1; see docs/many_cases.md) in CSV, JSON "
        "Lines or Parquet, a folder of scans with files of boxes beside them, or a folder of NPZ cases.",
        show_default=False,
    ),
]
Answers = Annotated[
    str | None,
    typer.Argument(
        metavar="ANSWERS",
        help="Folder for the answers, or its URL; created if it does not exist.",
        show_default=False,
    ),
]
CasesOption = Annotated[Path | None, typer.Option("--cases", help="The same as CASES.")]
InputFolder = Annotated[
    Path | None,
    typer.Option(
        "--input",
        "-i",
        help="Folder of NPZ cases; 2DBox_* are images with boxes (N, 4), 3DBox_* volumes with boxes (N, 6).",
    ),
]
OutputFolder = Annotated[str | None, typer.Option("--output", "-o", metavar="PATH", help="The same as ANSWERS.")]
PartOfCases = Annotated[
    str | None,
    typer.Option(
        "--shard", metavar="I/N", help="Do part I of N parts, which together are all cases.", show_default=False
    ),
]
MostCases = Annotated[
    int | None, typer.Option("--limit", min=1, help="Do at most this many cases in this run.", show_default=False)
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on where an earlier run stopped, as every run does."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only list what would be done with each case; write nothing.")]


@dataclass(frozen=True)
class Places:
    """Where the cases come from and the answers go.

    Attributes:
        cases: the table, the list or the folder; None where a study on a server has them.
        answers: the folder, or its URL.
        by_input: the cases were named by --input, which is a folder of NPZ cases whatever else lies in it.
    """

    cases: Path | None
    answers: str
    by_input: bool

    @staticmethod
    def of(
        arguments: tuple[str | None, str | None],
        options: tuple[Path | None, Path | None],
        output: str | None,
        study: str | None,
    ) -> "Places":
        """The places from the arguments, or from the options that replace them.

        Args:
            arguments: CASES and ANSWERS.
            options: --cases and --input.
            output: --output.
            study: --study, which needs no CASES.

        Raises:
            InvalidArgument: there is not exactly one of either.
        """
        cases, answers = arguments
        if answers is None and output is None and (study is not None or any(options)):
            cases, answers = None, cases  # the only argument is ANSWERS
        given = [path for path in (cases, *options) if path is not None]
        if len(given) != 1 and not (study is not None and not given):
            raise InvalidArgument(
                f"cases: got {len(given)} inputs, expected one: CASES (--cases), a table or a folder, or -i FOLDER"
            )
        targets = [path for path in (answers, output) if path is not None]
        if len(targets) != 1:
            raise InvalidArgument(
                f"output: got {len(targets)} folders of answers, expected one: ANSWERS or -o FOLDER; see --help"
            )
        (target,) = targets
        if target.lower().startswith("memory://"):
            raise InvalidArgument(
                f"output: got {target}, which ends with this command, expected a folder or a storage that stays"
            )
        if is_url(str(given[0] if given else "")):
            raise InvalidArgument(
                f"cases: got {given[0]}, expected a table or a folder on this machine; fetch it (its column file may "
                "hold URLs)"
            )
        # A path as others write it; pathlib would make one of the two slashes of a URL.
        folder = target if is_url(target) else str(Path(target))
        return Places(Path(given[0]) if given else None, folder, options[1] is not None)
