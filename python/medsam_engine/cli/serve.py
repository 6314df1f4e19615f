# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine serve`: the page in the browser, and a server for napari, 3D Slicer and MITK."""

import os
import sys
import threading
import webbrowser
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from medsam_engine.base.packages import missing, pip_install
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
from medsam_engine.cli.model_options import (
    Bundle,
    Device,
    ModelOptions,
    Precision,
    Profile,
    Threads,
    TrustCertificates,
    precision_note,
)
from medsam_engine.cli.steps import Steps
from medsam_engine.errors import Unsupported
from medsam_engine.paths import xdg_folder
from medsam_engine.windows import check_window

if TYPE_CHECKING:
    from medsam_engine.serve.workplace import Workplace

EXAMPLES = """Examples:

medsam-engine serve scan.nii.gz

medsam-engine serve --no-browser --port 1527
"""
_NEEDED = ("starlette", "uvicorn", "blosc2", "prometheus_client", "pydantic")
_SERVER = "Server"
_BESIDE_VOXELS = 64 << 20  # bytes of a request: headers of files, and what is drawn

Port = Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 = any free one.", rich_help_panel=_SERVER)]
Host = Annotated[
    str,
    typer.Option(help="Address to listen on. Any other than this machine's own needs --key.", rich_help_panel=_SERVER),
]
Key = Annotated[
    str | None,
    typer.Option(
        envvar="MEDSAM_ENGINE_KEY",
        show_envvar=True,
        help="Key that programs have to give; by default a random one, which is printed.",
        rich_help_panel=_SERVER,
    ),
]


def serve(
    scans: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[SCAN]...", help="Files, or folders of DICOM series, to open. Nothing else is ever read."
        ),
    ] = None,
    port: Port = 1527,
    host: Host = "127.0.0.1",
    key: Key = None,
    no_token: Annotated[
        bool,
        typer.Option("--no-token", help="Ask nobody for a key; on this machine only.", rich_help_panel=_SERVER),
    ] = False,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Name by which a proxy calls this server. Repeat for more.", rich_help_panel=_SERVER
        ),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open the page.", rich_help_panel=_SERVER)
    ] = False,
    sessions: Annotated[
        int, typer.Option(min=1, max=64, help="Programs that may be connected at once.", rich_help_panel=_SERVER)
    ] = 4,
    seconds: Annotated[
        float,
        typer.Option(
            min=1,
            max=50,
            help="Time after which an answer begins no further slice. Programs give up at 60 s.",
            rich_help_panel=_SERVER,
        ),
    ] = 20,
    save_folder: Annotated[
        Path | None,
        typer.Option(
            help="Folder in which the work is saved after each step and found again; by default in "
            "$XDG_STATE_HOME/medsam-engine.",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Write the log as JSON, one object a line.", rich_help_panel=_SERVER)
    ] = False,
    window: Window = None,
    modality: Modality = None,
    volume: Volume = None,
    series: Series = None,
    skip_unreadable: SkipUnreadable = False,
    max_bytes: MaxBytes = None,
    bundle: Bundle = None,
    profile: Profile = "clinical",
    precision: Precision = None,
    trust_certificates: TrustCertificates = False,
    device: Device = "CPU",
    threads: Threads = 0,
) -> None:
    """Open scans in the browser, and answer napari, 3D Slicer and MITK (nnInteractive's remote protocol)."""
    absent = missing(_NEEDED)
    if absent:
        raise Unsupported(f"serve: got no package {absent[0]}, expected it installed; {pip_install(*absent)}")
    from medsam_engine.serve.access import Access
    from medsam_engine.serve.log import log_to_stderr
    from medsam_engine.serve.server import bound_socket
    from medsam_engine.serve.workplace import Limits, Workplace

    check_window(window)
    access = Access(host, key, no_key=no_token, names=allowed_host or ())
    bound = bound_socket(host, port)
    console = Console(stderr=True)
    log_to_stderr(log_json)
    steps = Steps(console)
    model = ModelOptions(bundle, profile, precision, trust_certificates, device, threads)
    with steps.step("load model"):
        engine = model.engine()
    steps.note(precision_note(engine.info, model.asked_precision))
    limits = Limits(leases=sessions, answer_seconds=seconds)
    if max_bytes is not None:
        limits = replace(limits, image_bytes=max_bytes, body_bytes=max_bytes + _BESIDE_VOXELS)
    folder = save_folder or xdg_folder("XDG_STATE_HOME", ".local/state") / "sessions"
    workplace = Workplace(engine, access, limits, window=window, modality=modality, folder=folder)
    options = ReadOptions(volume, series, max_bytes, skip_unreadable)
    for scan in scans or []:
        # Not mapped: a file that is written to while the server runs would change under its masks, and one that is cut
        # off would end the process (SIGBUS).
        image = read_scan(scan, options, steps, memory_map=False)
        workplace.open_study(workplace.new_study(image, scan.name))
    _run(bound, workplace, host, open_page=not no_browser, console=console)


def _run(bound: object, workplace: "Workplace", host: str, *, open_page: bool, console: Console) -> None:
    import socket

    from medsam_engine.serve.server import server_on

    assert isinstance(bound, socket.socket)
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{bound.getsockname()[1]}"
    access = workplace.access

    def ready() -> None:
        page = address + ("/" if access.key is None else f"/?token={access.new_ticket()}")
        key = "none is needed" if access.key is None else access.key
        typer.echo(f"In the browser (opens once): {page}", err=True)
        typer.echo(f"In napari, 3D Slicer and MITK: {address}  key: {key}", err=True)
        typer.echo("Ctrl-C ends the server; what was drawn on the page is saved.", err=True)
        if open_page and _has_display():
            threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()

    try:
        server_on(bound, workplace, ready).run(sockets=[bound])
    except KeyboardInterrupt:  # which uvicorn raises again when everything has ended
        console.print("ended")


def _has_display() -> bool:
    """Whether a browser with windows can open; one in the terminal would take it over."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
