"""The site shows what a Git host shows, its links lead to pages, and it opens without a network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from markdown import Markdown
from markdown_it import MarkdownIt
from mkdocs.config import load_config

from docs.generating import site

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path for path in (*(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in site.PAGES_OUTSIDE)) if path.exists()
)
PARTS = ("li", "table", "pre", "h1", "h2", "h3", "blockquote")


@pytest.fixture(scope="module")
def config() -> Any:
    return load_config(str(ROOT / "mkdocs.yml"))


def parts_of(html: str) -> dict[str, int]:
    return {part: len(re.findall(rf"<{part}\b", html)) for part in PARTS}


def on_site(text: str, page: str = "explanation/page.md") -> str:
    """A page's text as the site renders it."""
    file = SimpleNamespace(abs_src_path=str(ROOT / "docs" / page), src_uri=page)
    extension = site._LinksOutExtension()
    extension.links.page = SimpleNamespace(file=file)  # type: ignore[assignment]  # all that it asks for
    return Markdown(extensions=[extension]).convert(text)


@pytest.mark.parametrize("path", PAGES, ids=[path.relative_to(ROOT).as_posix() for path in PAGES])
def test_a_page_has_the_same_parts_on_the_site_as_on_a_git_host(path: Path, config: Any) -> None:
    text = path.read_text()
    extensions = [name for name in config.markdown_extensions if isinstance(name, str)]
    shown = Markdown(extensions=extensions, extension_configs=config.mdx_configs).convert(text)
    assert parts_of(shown) == parts_of(MarkdownIt("commonmark").enable("table").render(text))


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("[a](../../CONTRIBUTING.md)", '<a href="../about/contributing.md">a</a>'),
        ("[a](../../CONTRIBUTING.md#a-dependency)", '<a href="../about/contributing.md#a-dependency">a</a>'),
        ("[a](../../README.md#install)", '<a href="../README.md">a</a>'),
        ("[a](../tutorials/notebook.ipynb)", '<a href="../tutorials/notebook.md">a</a>'),
        ("[a](best.md#rule)", '<a href="best.md#rule">a</a>'),
        ("[the *rules*](../../pyproject.toml)", "<span>the <em>rules</em> <code>pyproject.toml</code></span>"),
        ("[`pyproject.toml`](../../pyproject.toml)", "<span><code>pyproject.toml</code></span>"),
        ("[a](https://example.org/a.md)", '<a href="https://example.org/a.md">a</a>'),
        ("[a](#here)", '<a href="#here">a</a>'),
        ("[a](../../nothing.py)", '<a href="../../nothing.py">a</a>'),
        ("`[a](../../pyproject.toml)`", "<code>[a](../../pyproject.toml)</code>"),
    ],
)
def test_a_link_leads_to_a_page_or_is_text(link: str, shown: str) -> None:
    assert on_site(link) == f"<p>{shown}</p>"


def test_a_folder_in_the_navigation_stands_for_its_other_pages(tmp_path: Path) -> None:
    for name in ("b.md", "a.md", "c.md", "inner/d.md"):
        (tmp_path / "how-to" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "how-to" / name).write_text("# Page\n")
    nav = [{"How-to": ["how-to/b.md", "how-to/*"]}]
    filled = site._filled(nav, set(site._paths(nav)), tmp_path)
    assert filled == [{"How-to": ["how-to/b.md", "how-to/a.md", "how-to/c.md"]}]


@pytest.mark.slow
def test_the_site_is_built_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    for page in tmp_path.rglob("*.html"):
        loaded = re.findall(r'<(?:script|img|iframe|link)\b[^>]*(?:src|href)="((?:https?:)?//[^"]*)"', page.read_text())
        assert loaded == [], page
