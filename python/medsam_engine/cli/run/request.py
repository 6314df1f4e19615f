# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What `medsam-engine run` was asked for: a table, a server or a folder of NPZ cases, and which options go with it."""

from dataclasses import dataclass, field
from typing import Any

import typer

from medsam_engine import find_bundle
from medsam_engine.cli.json_output import engine_object
from medsam_engine.cli.model_options import certificate_in_force
from medsam_engine.cli.run.case_options import Places
from medsam_engine.cli.run.dicomweb_command import DicomWebOptions, run_dicomweb
from medsam_engine.cli.run.folder_command import FolderOptions, run_folder
from medsam_engine.cli.run.given_options import refuse_given
from medsam_engine.cli.run.json_cases import ended_content
from medsam_engine.cli.run.model import Model
from medsam_engine.cli.run.screen import RunScreen
from medsam_engine.cli.run.table_command import TableOptions, listed_cases, run_table
from medsam_engine.cohort.case_folder import has_prompts_beside
from medsam_engine.errors import InvalidArgument

# Parameters of the command that do not go with everything.
_ONLY_SERVER = (
    *("study", "series", "box", "box_mm", "name", "boxes_from"),
    *("store", "dicomweb_auth", "dicomweb_ca", "dicomweb_cert"),
)
_ONLY_TABLE = (
    *("output_format", "template", "if_different", "shard", "limit", "retry_failed", "tries", "case_timeout"),
    *("case_memory", "dry_run", "reproducible", "window", "skip_unreadable", "objects", "preview_folder", "ray"),
)
_ONLY_HERE = ("limit", "case_timeout", "case_memory")


@dataclass
class RunRequest:
    """A run, as the command line describes it. Making one refuses nothing yet.

    Attributes:
        context: of the command, which knows the options that were given.
        places: of the cases and the answers.
        table: the options of a table, most of which a server and a folder of NPZ cases have, too.
        server: None where the cases are files.
        times: whether to print how long the phases of the start took.
        model: loaded by `run`, unless no case needs it.
    """

    context: typer.Context
    places: Places
    table: TableOptions
    server: DicomWebOptions | None
    times: bool
    model: Model = field(init=False)

    def __post_init__(self) -> None:
        self.model = Model(self.table.run)

    def run(self, screen: RunScreen) -> int:
        """Does the cases; returns how many failed, or whether any did in a folder of NPZ cases.

        Raises:
            InvalidArgument: options that do not go together, or one that is wrong.
            Error: as run_table, run_dicomweb and run_folder.
        """
        if self.server is not None:
            return self._run_server(self.server, screen)
        refuse_given(self.context, _ONLY_SERVER, "no --dicomweb", "both")
        source = self.places.cases
        if source is None:
            raise InvalidArgument("cases: got none, expected CASES, a table or a folder; see --help")
        if self.places.by_input or (source.is_dir() and not has_prompts_beside(source)):
            refuse_given(self.context, _ONLY_TABLE, "a folder of NPZ cases", "a table of cases")
            options = FolderOptions.of(source, self.table, self.times)
            return int(not run_folder(options, self.model, screen))
        refuse_given(self.context, ("times",), "a table of cases", "a folder of NPZ cases")
        if self.table.ray is not None:
            refuse_given(self.context, _ONLY_HERE, "--ray", "a run on this machine")
        self.table.run.check()
        bundle = find_bundle(self.table.run.bundle)
        return run_table(self.table, listed_cases(source), bundle, lambda: self.model.load(screen), screen)

    def content(self, screen: RunScreen) -> dict[str, Any]:
        """The run that has ended, for --json; docs/json.md has the fields."""
        ran = {}
        if self.model.engine is not None:
            about = self.model.engine.info
            ran = engine_object(about, certificate_in_force(about))
        source = self.places.cases or (None if self.server is None else self.server.study)
        return {"input": source, "answers": self.places.answers, **ran, **ended_content(screen.ended)}

    def _run_server(self, server: DicomWebOptions, screen: RunScreen) -> int:
        refuse_given(self.context, ("times",), "a table of cases", "a folder of NPZ cases")
        refuse_given(self.context, ("input_folder",), "--dicomweb", "a table of cases or --study")
        refuse_given(self.context, ("ray",), "--dicomweb", "a table of files")
        bundle = find_bundle(self.table.run.bundle)
        return run_dicomweb(server, self.table, bundle, lambda: self.model.load(screen), screen)
