# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Where the answer of each case goes: a name that follows from the case alone, and one per case."""

import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from medsam_engine.base.addresses import is_url, last_name
from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.formats import KNOWN_SUFFIXES, OUTPUTS, Format, suffix_of

FORMATS = ("nii.gz", "nii", "nrrd", "mha", "png", "dcm", "npz")
_NATURAL = {Format.IMAGE: "png", Format.NPZ: "npz"}
RECORD_SUFFIX = ".json"
_FIELDS = re.compile(r"{(case|stem|name|label)}")
_CASE_FIELDS = re.compile(r"{(case|stem)}")
_OBJECT_FIELDS = re.compile(r"({name}|{label})")
_NOT_IN_NAMES = re.compile(r"[^\w. +-]")  # of a structure, which becomes the name of a file


def check_format(output_format: str | None) -> None:
    """InvalidArgument: no format that label maps are written in."""
    if output_format is not None and output_format not in FORMATS:
        raise InvalidArgument(f"--format: got {output_format}, expected {', '.join(FORMATS)}; see --help")


def check_template(template: str | None, output_format: str | None) -> None:
    """InvalidArgument: a template with unknown fields, without the case, or that leads out of the folder of answers."""
    if template is None:
        return
    if output_format is not None:
        raise InvalidArgument("--template: got it with --format, expected one of them; the template's ending decides")
    rest = _FIELDS.sub("x", template)
    if "{" in rest or "}" in rest or not _CASE_FIELDS.search(template):
        raise InvalidArgument(
            f"--template: got {template}, expected {{case}} or {{stem}}, and no fields but these, {{name}} and "
            "{label}; for example {case}/{name}.nii.gz"
        )
    if PurePath(rest).anchor or ".." in PurePath(rest).parts:
        raise InvalidArgument(f"--template: got {template}, expected a name inside the folder of the answers")
    if not template.endswith(OUTPUTS):
        raise InvalidArgument(f"--template: got {template}, expected a name ending in {', '.join(OUTPUTS)}")


@dataclass(frozen=True)
class CaseFiles:
    """A case, and where its answer goes and its preview (None: not asked for).

    Attributes:
        answer: the label map; where each object has a file of its own, how their names are made, to be shown.
        record: of how the answer was made.
        folder: of the answers of all cases.
        pattern: the name in `folder` of an object's file: text, {name} or {label}, text, and so on; the text is no
            field, whatever the case is called. Empty where the case has one file.
    """

    case: CaseSpec
    answer: Path
    record: Path
    preview: Path | None
    folder: Path
    pattern: tuple[str, ...] = ()

    @property
    def per_object(self) -> bool:
        """Whether each object has a file of its own."""
        return bool(self.pattern)

    @property
    def known_masks(self) -> list[Path]:
        """The files of the objects that the case itself names; none where its image or a file of boxes has them."""
        rows = self.case.objects if self.per_object else ()
        return [self._mask(row.label, row.written_name) for row in rows]

    def masks(self, names: Mapping[int, str]) -> dict[int, Path]:
        """The file of each object by label. InvalidArgument: two would have one."""
        taken: dict[str, int] = {}
        files = {}
        for label, name in names.items():
            path = self._mask(label, name)
            earlier = taken.setdefault(folded(path), label)
            if earlier != label:
                raise InvalidArgument(
                    f"--template: got the file {path.name} for the labels {earlier} and {label}, expected one for "
                    "each; use {label}, or give the objects different names"
                )
            files[label] = path
        return files

    def _mask(self, label: int, name: str) -> Path:
        plain = _NOT_IN_NAMES.sub("_", name).strip(". ") or f"label {label}"
        values = {"{name}": plain, "{label}": str(label)}
        return self.folder / "".join(values[part] if k % 2 else part for k, part in enumerate(self.pattern))


def files_of(
    case: CaseSpec, answers: Path, output_format: str | None, previews: Path | None, template: str | None = None
) -> CaseFiles:
    """The files of a case; of a name relative to the table the folders are kept, of any other only the name.

    Args:
        case: of a table.
        answers: the folder of the answers.
        output_format: one of FORMATS for all; None = png for pictures, npz for NPZ, nii.gz for all else.
        previews: the folder of the pictures; None = none are made.
        template: as RunOptions.template, instead of `output_format`.
    """
    folder, stem, kind = _parts(case)
    if template is None:
        chosen = output_format or (_NATURAL.get(kind, "nii.gz") if kind is not None else "nii.gz")
        pattern = [str(folder / f"{stem}.{chosen}")]
    else:
        values = {"case": str(folder / stem), "stem": stem}
        parts = _OBJECT_FIELDS.split(template)
        pattern = [_CASE_FIELDS.sub(lambda field: values[field[1]], part) for part in parts]
    relative = PurePath("".join(pattern))
    per_object = len(pattern) > 1
    if per_object:
        record = answers / folder / f"{stem}{RECORD_SUFFIX}"
        shown = folder / stem
    else:
        record, shown = record_path(answers / relative), relative
    preview = None if previews is None else previews / shown.with_name(shown.name + ".png")
    return CaseFiles(case, answers / relative, record, preview, answers, tuple(pattern) if per_object else ())


def record_path(answer: Path) -> Path:
    """The record of an answer lies beside it."""
    return answer.with_name(answer.name + RECORD_SUFFIX)


def folded(name: object) -> str:
    """The same text for names that differ in case or composition only, which are one file on some file systems."""
    return unicodedata.normalize("NFC", str(name)).casefold()


def _parts(case: CaseSpec) -> tuple[PurePath, str, Format | None]:
    """The folder of an answer in that of all, the image's name without its ending, and the format of the ending."""
    name = last_name(case.path)
    ending = suffix_of(Path(name))
    kind = KNOWN_SUFFIXES.get(ending)
    stem = (name[: -len(ending)] if kind is not None else name) or name
    if is_url(case.file):
        return PurePath(), stem, kind
    written = PurePath(os.path.normpath(case.file))
    # Not is_absolute(): of Windows, "C:scan.nii" and "/scan.nii" are not, and lead elsewhere all the same.
    inside = not written.anchor and ".." not in written.parts and written.name == name
    return (written.parent if inside else PurePath()), stem, kind
