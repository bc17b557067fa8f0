"""What `mkdocs.yml` cannot say: which pages stand outside docs/, where links lead, what a folder's pages are.

The same Markdown is read on a Git host, where a link may lead to any file of the project, and on the site, which has
pages only. On the site

* a page outside docs/ that is in `PAGES_OUTSIDE` is a page as well, and links lead to it;
* a link to another file of the project is its text and the file's path, in code;
* a notebook is a page, and links to it lead there;
* MkDocs warns of a link to a file that does not exist, which `--strict` makes an error.

In the navigation of `mkdocs.yml`, `folder/*` stands for all pages of the folder that have no entry of their own, in the
order of their file names; pages from outside docs/ stand in the order of `PAGES_OUTSIDE`.

Knows MkDocs and Python-Markdown. Must not know what is on a page.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree.ElementTree import Element, SubElement

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

from docs.generating.notebooks import page_from, read

__all__ = ["on_config", "on_files", "on_page_markdown"]

ROOT = Path(__file__).parents[2]
PAGES_OUTSIDE = {
    "CHANGELOG.md": "about/changelog.md",
    "CONTRIBUTING.md": "about/contributing.md",
    "SECURITY.md": "about/security.md",
    "deploy/README.md": "about/deploying.md",
    "tests/README.md": "about/tests.md",
    "tests/benchmarks/README.md": "about/benchmarks.md",
}
"""Pages of the project that stand outside docs/, and where the site has them."""
STANDS_FOR_README = "README.md"
"""The site's home page, to which links to the project's README lead."""


class LinksOut(Treeprocessor):  # type: ignore[misc]  # Python-Markdown has no types
    """Turns the links of one page that leave docs/ into what the site has instead."""

    page: Page | None = None

    def run(self, root: Element) -> None:
        """Change the page's tree in place."""
        if self.page is None:
            return
        for element in list(root.iter()):
            name = {"a": "href", "img": "src"}.get(element.tag)
            address = urlsplit(element.get(name, "") if name else "")
            if name and address.path and not address.scheme and not address.netloc:
                self._change(element, name, address.path, address.fragment)

    def _change(self, element: Element, name: str, path: str, fragment: str) -> None:
        assert self.page is not None
        source = Path(self.page.file.abs_src_path or ROOT / "docs" / self.page.file.src_uri)
        target = (source.parent / unquote(path)).resolve()
        inside = _address_on_site(target)
        if inside is not None:
            relative = os.path.relpath(inside, Path(self.page.file.src_uri).parent)
            element.set(name, f"{relative}#{fragment}" if fragment and inside != STANDS_FOR_README else relative)
        elif target.exists() and target.is_relative_to(ROOT) and name == "href":
            _show_path(element, target.relative_to(ROOT).as_posix())


class _LinksOutExtension(Extension):  # type: ignore[misc]  # as above
    def __init__(self) -> None:
        super().__init__()
        self.links = LinksOut()

    def extendMarkdown(self, md: Markdown) -> None:
        """Before MkDocs looks at the links, with priority 0, and after they have been found, with 20."""
        md.treeprocessors.register(self.links, "links_out", 10)


_extension = _LinksOutExtension()


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the navigation; have the links of each page looked at."""
    config.markdown_extensions.append(_extension)  # Python-Markdown takes instances, too
    named = set(_paths(config.nav))
    config.nav = [_filled(entry, named, Path(config.docs_dir)) for entry in config.nav or []]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that stand outside docs/, the pictures beside them, and notebooks as pages."""
    for source, inside in _pages_outside().items():
        files.append(_file_outside(config, ROOT / source, inside))
    for picture in _pictures():
        files.append(_file_outside(config, picture, str(_address_on_site(picture))))
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.remove(file)
        text = page_from(read(Path(str(file.abs_src_path))))
        files.append(File.generated(config, _page_of_notebook(file.src_uri), content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Tell the page whose links are looked at next."""
    _extension.links.page = page
    return markdown


def _pages_outside() -> dict[str, str]:
    return {source: inside for source, inside in PAGES_OUTSIDE.items() if (ROOT / source).exists()}


def _pages_in(folder: str, docs: Path) -> list[str]:
    own = sorted(path.relative_to(docs).as_posix() for path in docs.glob(f"{folder}*.md"))
    return [*own, *(inside for inside in _pages_outside().values() if inside.startswith(folder))]


def _file_outside(config: MkDocsConfig, source: Path, inside: str) -> File:
    return File.generated(config, inside, abs_src_path=str(source), inclusion=InclusionLevel.INCLUDED)


def _pictures() -> list[Path]:
    return [*(ROOT / "tests/benchmarks/figures").glob("*.svg")]


def _address_on_site(target: Path) -> str | None:
    """Where the site has a file, relative to its root; None where it has not."""
    docs = ROOT / "docs"
    if target.is_relative_to(docs):
        return _page_of_notebook(target.relative_to(docs).as_posix())
    if not target.is_relative_to(ROOT):
        return None
    outside = target.relative_to(ROOT).as_posix()
    if target in _pictures():
        return f"about/figures/{target.name}"
    return STANDS_FOR_README if outside == "README.md" else PAGES_OUTSIDE.get(outside)


def _page_of_notebook(path: str) -> str:
    return f"{path.removesuffix('.ipynb')}.md" if path.endswith(".ipynb") else path


def _show_path(link: Element, path: str) -> None:
    """A link becomes its text, followed by the file's path unless the text is that."""
    text = "".join(link.itertext()).strip()
    link.attrib.clear()
    link.tag = "span"
    if path.endswith(text):
        for child in list(link):
            link.remove(child)
        link.text = ""
    elif len(link):
        link[-1].tail = (link[-1].tail or "") + " "
    else:
        link.text = f"{text} "
    SubElement(link, "code").text = path


def _paths(nav: Any) -> Iterator[str]:
    """All pages that a navigation names."""
    if isinstance(nav, str):
        yield nav
    for entry in nav if isinstance(nav, list) else nav.values() if isinstance(nav, dict) else ():
        yield from _paths(entry)


def _filled(entry: Any, named: set[str], docs: Path) -> Any:
    """A section with its `folder/*` replaced by the folder's further pages."""
    if isinstance(entry, dict):
        return {title: _filled(below, named, docs) for title, below in entry.items()}
    if not isinstance(entry, list):
        return entry
    filled: list[Any] = []
    for below in entry:
        if isinstance(below, str) and below.endswith("/*"):
            filled += [page for page in _pages_in(below[:-1], docs) if page not in named]
        else:
            filled.append(_filled(below, named, docs))
    return filled
