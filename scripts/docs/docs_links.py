# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Links of the documentation: as a code host has them in the files, and as the site needs them.

``docs_links.py`` prints the links of all pages that lead to no file, one per line; exits 1 if any.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Pages of the site that lie outside docs/: their path in the repository, and on the site.
OUTSIDE = {
    "README.md": "index.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
}
FENCE = re.compile(r"^( *)(`{3,}).*?^\1\2 *$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?P<mark>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")


def place(name: str) -> str | None:
    """Returns where on the site a file or folder of the repository is; None when it is not on the site."""
    if name in OUTSIDE:
        return OUTSIDE[name]
    if name.startswith("docs/") and (ROOT / name).is_dir():
        name += "/README.md"
    return name.removeprefix("docs/") if name.startswith("docs/") and (ROOT / name).is_file() else None


def source_of(page: str) -> str:
    """Returns the path in the repository of a page of the site."""
    outside = {there: source for source, there in OUTSIDE.items()}
    return outside.get(page, f"docs/{page}")


def site_links(markdown: str, page: str) -> str:
    """Returns a page of the repository with its links as the site needs them; code blocks stay word for word.

    A link to a file that is not on the site, such as a source, becomes its path in the repository, as code.

    Args:
        markdown: the page.
        page: its path on the site.

    Raises:
        FileNotFoundError: a link leads to no file, so that it is broken on a code host, too.
    """
    source = source_of(page)

    def rewrite(match: re.Match[str]) -> str:
        target, _, anchor = match["target"].partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return match[0]
        name = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if not (ROOT / name).exists():
            raise FileNotFoundError(f"{source}: the link to {match['target']} leads to no file")
        there = place(name)
        if there is None:
            text = match["text"].strip("`")
            return f"`{name}`" if text in {name, posixpath.basename(name)} else f"{match['text']} (`{name}`)"
        relative = posixpath.relpath(there, posixpath.dirname(page) or ".")
        return f"{match['mark']}[{match['text']}]({relative}{'#' + anchor if anchor else ''})"

    parts: list[str] = []
    end = 0
    for fence in FENCE.finditer(markdown):
        parts += [LINK.sub(rewrite, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, LINK.sub(rewrite, markdown[end:])])


def pages() -> list[str]:
    """Returns the pages of the site that are files of the repository, by their path on the site."""
    return [*OUTSIDE.values(), *(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md"))]


def main() -> int:
    """Checks every page."""
    found = []
    for page in sorted(pages()):
        try:
            site_links((ROOT / source_of(page)).read_text(encoding="utf-8"), page)
        except FileNotFoundError as error:
            found.append(str(error))
    print("\n".join([*found, f"docs_links: {len(pages())} pages, {len(found)} with a broken link"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
