# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""MkDocs hook (mkdocs.yml): what the site has beside docs/*.md, so that no text is written twice.

README.md is the start page, and the pages of the root folder are pages of the site; the reference of the Python package
is made of the package's public names; what Doxygen wrote goes in as it is.
"""

from __future__ import annotations

import posixpath
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import medsam_engine

sys.path.insert(0, str(Path(__file__).resolve().parent))  # mkdocs loads a hook by its path
from docs_links import OUTSIDE, ROOT, site_links

DOXYGEN = ROOT / "build" / "docs-cpp" / "html"


def python_reference() -> str:
    """Returns mkdocstrings' directives for the public names of the package: what is exported is in the reference."""
    names = [name for name in medsam_engine.__all__ if not name.startswith("__")]
    values = {name: getattr(medsam_engine, name) for name in names}
    errors = [name for name, value in values.items() if isinstance(value, type) and issubclass(value, Exception)]
    first = ["Engine", "Prediction", "ImageEmbedding", "Session", "Predictor", "FolderRun"]
    classes = [name for name in names if isinstance(values[name], type) and name not in {*errors, *first}]
    functions = [name for name in names if name not in {*first, *classes, *errors}]
    text = ""
    for title, group in (("Engine", first), ("Functions", functions), ("Reports", classes), ("Errors", errors)):
        text += f"\n## {title}\n\n" + "".join(f"::: medsam_engine.{name}\n\n" for name in group)
    text += "\n## Files: medsam_engine.io\n\n"
    text += "".join(f"::: medsam_engine.io.{name}\n\n" for name in sorted(medsam_io_names()))
    return text + "\n## Windows: medsam_engine.windows\n\n::: medsam_engine.windows.apply_window\n"


def medsam_io_names() -> list[str]:
    """Returns the public names of medsam_engine.io."""
    from medsam_engine import io

    return list(io.__all__)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of the root folder and Doxygen's output."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    for path in sorted(DOXYGEN.rglob("*")):
        if path.is_file():
            name = posixpath.join("doxygen", path.relative_to(DOXYGEN).as_posix())
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Gives a page the site's links, and completes the two pages of reference."""
    name = page.file.src_uri
    text: str = site_links(markdown, name)
    if name == "python.md":
        return text + python_reference()
    if name == "reference.md":
        text = text.replace(" {#mainpage}", "")
        if (DOXYGEN / "index.html").is_file():
            return text + "\n[Open the reference of the C++ and C headers](doxygen/index.html)\n"
        return text + "\nThis build of the site is without it: Doxygen was not installed.\n"
    return text
