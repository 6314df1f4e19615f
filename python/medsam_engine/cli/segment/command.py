# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine segment`: segments objects of one image or volume from boxes or points and writes a label map."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from medsam_engine import find_bundle, io
from medsam_engine.base.output_check import check_outputs
from medsam_engine.cli.input_options import (
    MaxBytes,
    Modality,
    ReadOptions,
    Series,
    SkipUnreadable,
    Volume,
    Window,
    read_scan,
)
from medsam_engine.cli.json_output import Json, engine_object, print_json
from medsam_engine.cli.model_options import (
    Bundle,
    Device,
    ModelOptions,
    Precision,
    Profile,
    Threads,
    TrustCertificates,
    certificate_in_force,
    precision_note,
)
from medsam_engine.cli.prompt_options import (
    Planes,
    box_mm_option,
    box_option,
    check_planes,
    name_option,
    parse_boxes,
    parse_points,
)
from medsam_engine.cli.segment.names import NameOptions, with_names
from medsam_engine.cli.segment.objects import Prompts, find_objects
from medsam_engine.cli.segment.picture import note_black_png
from medsam_engine.cli.segment.report import objects_content, report_objects
from medsam_engine.cli.steps import Steps
from medsam_engine.cli.terminal import log_to
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.boxes import check_points
from medsam_engine.io.formats import output_format
from medsam_engine.io.input_file import Unchanged
from medsam_engine.io.labeled_boxes import BoxOptions, LabeledBoxes, resolve_boxes
from medsam_engine.io.picture.png_file import check_writable as check_png
from medsam_engine.io.picture.png_file import write_rgb
from medsam_engine.io.source_files import source_files
from medsam_engine.show.found_objects import reported_objects
from medsam_engine.show.prepared_image import engine_modality, prepared_image, window_name
from medsam_engine.show.result_picture import result_picture
from medsam_engine.windows import Windowed, check_window


def _check_outputs(output: Path, preview: Path | None, inputs: Iterable[Path | None]) -> None:
    output_format(output)
    if preview is not None:
        check_png(preview)
    check_outputs({"--output": output, "--preview": preview}, inputs)


_PROMPTS, _OUTPUT = "Prompts", "Output"
EXAMPLES = """Examples:

medsam-engine segment scan.nii.gz --box 120,80,10,190,160,40 -o liver.nii.gz --preview sheet.png

medsam-engine segment photo.png --box 52,52,300,240 --box 310,60,400,150 -o mask.png --json

medsam-engine segment "CT abdomen" --box-mm=-80,-40,900,20,60,960 --window abdomen -o liver.dcm

medsam-engine segment scan.nrrd --boxes-from labels.nrrd -o again.nrrd
"""


def segment(
    image: Annotated[
        Path,
        typer.Argument(help="PNG, JPEG, TIFF, NIfTI, NRRD, MHA, DICOM (a file or the folder of a series) or NPZ."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Label map to write: .png, .nii.gz, .nii, .nrrd, .mha, .npz or .dcm (DICOM SEG). "
            "The background is 0, and the object of the k-th box is k, counted from 1.",
            rich_help_panel=_OUTPUT,
        ),
    ],
    box: Annotated[list[str] | None, box_option(_PROMPTS)] = None,
    box_mm: Annotated[list[str] | None, box_mm_option(_PROMPTS)] = None,
    boxes_from: Annotated[
        Path | None,
        typer.Option(
            help="Label map or DICOM SEG on the same grid, RTSTRUCT, or 3D Slicer ROI (.mrk.json): one box per label, "
            "segment or ROI. Each object keeps its number and name.",
            rich_help_panel=_PROMPTS,
        ),
    ] = None,
    name: Annotated[list[str] | None, name_option(_PROMPTS)] = None,
    names_from: Annotated[
        Path | None,
        typer.Option(
            help="File that names the labels: .csv with rows label,name, label descriptions of ITK-SNAP (.txt), "
            ".seg.nrrd, DICOM SEG or RTSTRUCT.",
            rich_help_panel=_PROMPTS,
        ),
    ] = None,
    jitter: Annotated[
        int,
        typer.Option(
            help="Move each side of the boxes from --boxes-from outwards by a random number of pixels up to this one.",
            rich_help_panel=_PROMPTS,
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers for --jitter.", rich_help_panel=_PROMPTS)] = 0,
    point: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y,LABEL",
            help="Point with label 1 inside the object or 0 outside it. All points, with at most one box, describe one "
            "object; without a box, the first point inside begins it. Weights that were not trained with points (see "
            "`info`) are asked with boxes in their place. For images, not in volumes of several slices.",
            rich_help_panel=_PROMPTS,
        ),
    ] = None,
    allow_untrained: Annotated[
        bool,
        typer.Option(
            "--allow-untrained",
            help="Hand points to the model itself even if its weights were not trained with them (see `info`). For "
            "research: the masks are usually wrong.",
            rich_help_panel=_PROMPTS,
        ),
    ] = False,
    planes: Planes = "slices",
    window: Window = None,
    modality: Modality = None,
    volume: Volume = None,
    series: Series = None,
    skip_unreadable: SkipUnreadable = False,
    max_bytes: MaxBytes = None,
    preview: Annotated[
        Path | None,
        typer.Option(
            "--preview",
            "--overlay",
            help="PNG picture of the result to write; for a volume, a sheet of its slices.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    as_json: Json = False,
    bundle: Bundle = None,
    profile: Profile = "clinical",
    precision: Precision = None,
    trust_certificates: TrustCertificates = False,
    device: Device = "CPU",
    threads: Threads = 0,
) -> None:
    """Segment objects of one image or volume."""
    options = BoxOptions(parse_boxes(box or []), parse_boxes(box_mm or [], "--box-mm"), boxes_from, jitter, seed)
    naming = NameOptions(name or [], names_from)
    naming.check()
    points = parse_points(point or [])
    _check_prompts(options, points[0])
    check_window(window)
    model = find_bundle(bundle)
    given = [path for path in (boxes_from, names_from) if path is not None]
    files = list(source_files(image))
    read = [*files, *(file for path in given for file in source_files(path)), model]
    _check_outputs(output, preview, read)

    console = Console(stderr=True)
    log_to(console)
    steps = Steps(console)
    unchanged = Unchanged(files)
    source = read_scan(image, ReadOptions(volume, series, max_bytes, skip_unreadable), steps)
    if points[0] and source.is_volume and source.grid[0] != 1:
        raise InvalidArgument(f"prompt: got points for a volume {source.grid}, expected boxes; use --box")
    prompts = with_names(resolve_boxes(options, source, max_bytes), naming, max_bytes)
    for note in prompts.notes:
        steps.note(f"note: {note}")
    check_points(points[0], source.grid)
    with steps.step("check output"):
        io.check_output(output, source, prompts.highest, names=prompts.written_names)
    shown = prepared_image(source, window, modality, steps)
    pixels = shown.slices(_looked_at(prompts, source, planes))
    asked = ModelOptions(bundle, profile, precision, trust_certificates, device, threads)
    with steps.step("load model"):
        engine = asked.engine(engine_modality(modality, source))
    steps.note(precision_note(engine.info, asked.asked_precision))
    found = find_objects(engine, pixels, source, Prompts(prompts, points, allow_untrained, planes), console, steps)
    labels = found.labels
    picture = None if preview is None else result_picture(shown, labels, source, prompts, points)
    unchanged.check()  # when nothing more is taken from the file
    with steps.step("write"):
        written = io.write(output, labels, source, names=prompts.written_names)
        if preview is not None and picture is not None:
            write_rgb(preview, picture)
    numbers = prompts.labels if len(prompts.labels) else np.array([1])  # points are one object
    objects = reported_objects(found, numbers, prompts.names if prompts.named else (), source)
    report_objects(steps, objects, f"{output} ({written}, {'x'.join(str(n) for n in labels.shape[::-1])})")
    note_black_png(steps, output, labels)
    if as_json:
        places = {"input": image, "output": output, "format": written, "preview": preview, "bundle": model}
        image_facts = _image_facts(source, shown, window, modality)
        answers = objects_content(objects, prompts, options, points)
        about = engine_object(engine.info, certificate_in_force(engine.info))
        done = {"notes": steps.notes, "objects": answers, "seconds": steps.seconds}
        print_json("segment", {**places, **about, **image_facts, **done})


def _image_facts(
    source: io.MedicalImage, shown: Windowed, window: str | None, modality: str | None
) -> dict[str, object]:
    return {
        "modality": modality or source.modality or None,
        "window": window_name(shown, source, window, modality),
        "shape": source.grid,
        "spacing_mm": source.spacing if source.spaced else None,
    }


def _looked_at(prompts: LabeledBoxes, source: io.MedicalImage, planes: str) -> Iterable[int]:
    check_planes(planes, source)
    # Objects stay in the slices of the boxes, so no other is windowed; planes across go through all of them.
    few = source.is_volume and planes == "slices"
    return prompts.reached(source.grid[0]) if few else range(source.grid[0])


def _check_prompts(options: BoxOptions, points: list[list[float]]) -> None:
    options.check()
    boxes = len(options.box) + len(options.box_mm)
    if not boxes and not points and options.boxes_from is None:
        raise InvalidArgument(
            "prompt: got none, expected --box, --box-mm, --boxes-from or --point; `medsam-engine view` draws a scan "
            "with axes to read a box off"
        )
    if points and (boxes > 1 or options.boxes_from is not None):
        got = f"{boxes} boxes" if boxes else "--boxes-from"
        raise InvalidArgument(
            f"prompt: got points and {got}, expected at most one box beside points; run once for each object"
        )
