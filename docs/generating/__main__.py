"""Write the pages of docs/reference anew."""

from __future__ import annotations

from pathlib import Path

from docs.generating.pages import PAGES

FOLDER = Path(__file__).parents[1] / "reference"


def main() -> None:
    """Write each page whose text has changed."""
    for name, make in PAGES.items():
        path, text = FOLDER / name, make()
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"docs/reference/{name}")


if __name__ == "__main__":
    main()
