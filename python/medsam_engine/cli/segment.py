# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine segment`: boxes or points on one image or volume, a label map out."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from medsam_engine import Engine, find_bundle, io
from medsam_engine.boxes import check_points
from medsam_engine.cli.input_options import MaxBytes
from medsam_engine.cli.prepared_image import engine_modality, prepared_image
from medsam_engine.cli.prompt_options import parse_boxes, parse_points
from medsam_engine.cli.segment_objects import label_image, label_volume
from medsam_engine.cli.segment_picture import note_black_png, result_picture
from medsam_engine.cli.segment_prompts import BoxOptions, LabelledBoxes, resolve_boxes
from medsam_engine.cli.segment_report import report_objects
from medsam_engine.cli.steps import Steps
from medsam_engine.cli.terminal import log_to
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.formats import output_format
from medsam_engine.io.input_file import Unchanged
from medsam_engine.io.png_file import check_writable as check_png
from medsam_engine.io.png_file import write_rgb
from medsam_engine.io.source_files import source_files
from medsam_engine.output_check import check_outputs
from medsam_engine.windows import check_window


def _check_outputs(output: Path, preview: Path | None, inputs: Iterable[Path | None]) -> None:
    output_format(output)
    if preview is not None:
        check_png(preview)
    check_outputs({"--output": output, "--preview": preview}, inputs)


def segment(
    image: Annotated[
        Path,
        typer.Argument(help="PNG, JPEG, TIFF, NIfTI, NRRD, MHA, DICOM (a file or a series' folder) or NPZ."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Label map to write: .png, .nii.gz, .nii, .nrrd, .mha, .npz or .dcm (DICOM SEG). "
            "0 background, k the k-th box.",
        ),
    ],
    bundle: Annotated[
        Path | None, typer.Option(help="Model folder; else $MEDSAM_ENGINE_BUNDLE, else the one that was fetched.")
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X0,Y0[,Z0],X1,Y1[,Z1]",
            help="One object: corner pixels, in a volume corner voxels, ends inclusive. Repeat for more.",
        ),
    ] = None,
    box_mm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X0,Y0,Z0,X1,Y1,Z1",
            help="One object: opposite corners in mm, LPS as in DICOM and SimpleITK (NIfTI's RAS negates x and y). "
            "Four numbers for an image without position, from its first pixel.",
        ),
    ] = None,
    boxes_from: Annotated[
        Path | None,
        typer.Option(
            help="Label map on the same grid: one box per label, which keeps its number; or a 3D Slicer ROI, .mrk.json."
        ),
    ] = None,
    jitter: Annotated[
        int, typer.Option(help="Pixels by which sides of --boxes-from boxes move outwards at most, at random.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Of --jitter.")] = 0,
    point: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y,LABEL",
            help="1 in the object, 0 outside. All points, and at most one box, are one object. "
            "Only for weights that were trained with points (see `info`), and not in volumes of several slices.",
        ),
    ] = None,
    allow_untrained: Annotated[
        bool,
        typer.Option(
            "--allow-untrained",
            help="Answer prompts that the weights were not trained with (see `info`). For research: "
            "their masks are usually wrong.",
        ),
    ] = False,
    window: Annotated[
        str | None,
        typer.Option(
            help="abdomen, lung, brain, mediastinum, bone, WIDTH,LEVEL, percentile, full or none; "
            "else by modality: CT abdomen, MR and PET percentile, others full, colour and 8-bit none."
        ),
    ] = None,
    modality: Annotated[
        str | None,
        typer.Option(
            help="CT, MR, PET, US, XRay, ..., for the window and for models that ask; else what the file says."
        ),
    ] = None,
    volume: Annotated[int | None, typer.Option(help="Which volume of a 4D file, from 0.")] = None,
    series: Annotated[str | None, typer.Option(help="SeriesInstanceUID, where a folder holds several.")] = None,
    skip_unreadable: Annotated[
        bool,
        typer.Option("--skip-unreadable", help="Leave out slices of a folder that cannot be read, and say which."),
    ] = False,
    preview: Annotated[
        Path | None,
        typer.Option("--preview", "--overlay", help="Picture of the result to write, PNG: for a volume, its slices."),
    ] = None,
    max_bytes: MaxBytes = None,
    profile: Annotated[str, typer.Option(help="clinical, or the rules of a published system.")] = "clinical",
    threads: Annotated[int, typer.Option(help="Inference threads; 0 = all cores.")] = 0,
    device: Annotated[str, typer.Option(help="Inference device.")] = "CPU",
    precision: Annotated[str, typer.Option(help="Inference precision.")] = "f32",
    trust_certificates: Annotated[
        bool, typer.Option("--trust-certificates", help="Take the bundle's own word for the certificates it has.")
    ] = False,
) -> None:
    """Segment objects of one image or volume."""
    options = BoxOptions(parse_boxes(box or []), parse_boxes(box_mm or [], "--box-mm"), boxes_from, jitter, seed)
    points = parse_points(point or [])
    _check_prompts(options, points[0])
    check_window(window)
    model = find_bundle(bundle)
    read = [*source_files(image), *(source_files(boxes_from) if boxes_from is not None else []), model]
    _check_outputs(output, preview, read)

    console = Console(stderr=True)
    log_to(console)
    steps = Steps(console)
    unchanged = Unchanged(image)
    with steps.step("read image"):
        source = io.read(
            image,
            volume=volume,
            series=series,
            max_bytes=max_bytes,
            skip_unreadable=skip_unreadable,
            memory_map=True,
        )
    for note in source.notes:
        steps.note(f"note: {note}")
    if points[0] and source.is_volume and source.grid[0] != 1:
        raise InvalidArgument(f"prompt: got points for a volume {source.grid}, expected boxes; use --box")
    prompts = resolve_boxes(options, source, max_bytes)
    check_points(points[0], source.grid)
    with steps.step("check output"):
        io.check_output(output, source, prompts.highest)
    shown = prepared_image(source, window, modality, steps)
    # Propagation stays in the slices of the boxes, so no other is windowed.
    pixels = shown.slices(prompts.reached(source.grid[0]) if source.is_volume else range(source.grid[0]))
    with steps.step("load model"):
        engine = Engine(
            model,
            device=device,
            precision=precision,
            trust_bundle_certificates=trust_certificates,
            threads=threads,
            profile=profile,
            modality=engine_modality(modality, source),
        )
    if source.is_volume and points[0]:  # of one slice, which is an image
        flat = LabelledBoxes(prompts.boxes[:, [0, 1, 3, 4]], prompts.labels)
        labels = label_image(engine, pixels[0], flat, points, steps, allow_untrained=allow_untrained)[np.newaxis]
    elif source.is_volume:
        labels = label_volume(engine, pixels, prompts, console, steps)
    else:
        labels = label_image(engine, pixels, prompts, points, steps, allow_untrained=allow_untrained)
    unchanged.check()
    with steps.step("write"):
        written = io.write(output, labels, source)
        if preview is not None:
            write_rgb(preview, result_picture(shown, labels, source, prompts, points))
    numbers = prompts.labels if len(prompts.labels) else np.array([1])  # points are one object
    report_objects(steps, labels, numbers, f"{output} ({written}, {'x'.join(str(n) for n in labels.shape[::-1])})")
    note_black_png(steps, output, labels)


def _check_prompts(options: BoxOptions, points: list[list[float]]) -> None:
    options.check()
    boxes = len(options.box) + len(options.box_mm)
    if not boxes and not points and options.boxes_from is None:
        raise InvalidArgument("prompt: got none, expected --box or --point; say where the object is")
    if points and (boxes > 1 or options.boxes_from is not None):
        got = f"{boxes} boxes" if boxes else "--boxes-from"
        raise InvalidArgument(
            f"prompt: got points and {got}, expected at most one box beside points; run once for each object"
        )
