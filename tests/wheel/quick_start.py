# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""README's quick start, word for word, where only the wheel is installed, with its extras [cli,medical,eval].

Usage: ``quick_start.py BUNDLE``; scripts/build_wheels.sh runs it. tests/python/test_docs.py does the same in the
development environment, for the guides too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK
from PIL import Image

README = Path(__file__).resolve().parents[2] / "README.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Minutes, or the network.
LEFT_OUT = {"bench", "tune", "quantize", "fetch"}


def make_files(bundle: Path) -> None:
    """What the reader is supposed to have, in the current folder."""
    Path("path/to").mkdir(parents=True)
    Path("path/to/bundle").symlink_to(bundle)
    y, x = np.mgrid[:300, :400]
    image = np.full((300, 400), 30, np.uint8)
    for x0, y0, x1, y1 in ((119, 188, 184, 249), (289, 197, 346, 251)):
        inside = ((2 * x - x0 - x1) / (x1 - x0)) ** 2 + ((2 * y - y0 - y1) / (y1 - y0)) ** 2 < 1
        image[inside] = 200
    Image.fromarray(image).save("slice.png")
    scan = np.full((45, 180, 200), -100, np.int16)
    scan[10:41, 80:161, 120:191] = 150
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(scan), "scan.nii.gz")
    for folder in ("cases", "truth"):
        Path(folder).mkdir()
    np.savez("cases/2DBox_a.npz", imgs=image, boxes=[[119, 188, 184, 249]])
    np.savez("truth/2DBox_a.npz", gts=(image > 100).astype(np.uint8), spacing=[1.0, 1.0, 1.0])


def run_python(code: str) -> None:
    """The Python of the page; `image`, `boxes`, `volume` and `boxes_3d` are the reader's own."""
    image = np.asarray(Image.open("slice.png"))
    boxes = np.array([[119, 188, 184, 249], [289, 197, 346, 251]])
    names: dict[str, object] = {"image": image, "boxes": boxes, "volume": np.stack([image] * 3)}
    names["boxes_3d"] = np.array([[119, 188, 0, 184, 249, 2]])
    exec(compile(code, "README.md", "exec"), names)
    if not np.any(np.asarray(names["labels"])) or not np.any(np.asarray(names["mask"])):
        sys.exit("README.md: its Python found nothing in the image, expected a mask and labels")
    print("ok: README's Python runs word for word")


def run_shell(lines: list[str]) -> None:
    """The commands of the page, by the program that the wheel installed."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for line in lines:
        done = subprocess.run(line, shell=True, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"README.md: `{line}` ended with {done.returncode}, expected 0: {done.stderr.strip()}")
    print(f"ok: {len(lines)} of README's commands run word for word")


def main(bundle: Path) -> None:
    """Runs both in a folder of their own."""
    found = BLOCK.findall(README.read_text(encoding="utf-8"))
    (python,) = (text for language, text in found if language == "python")
    commands = [line for language, text in found if language == "" for line in text.splitlines()]
    lines = [line for line in commands if line.startswith("medsam-engine ") and line.split()[1] not in LEFT_OUT]
    if not lines:
        sys.exit("README.md: got no command, expected some of medsam-engine")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ |= {"MEDSAM_ENGINE_BUNDLE": str(bundle), "MEDSAM_ENGINE_CACHE": f"{folder}/cache"}
        make_files(bundle)
        run_python(python)
        run_shell(lines)
        os.chdir("/")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
