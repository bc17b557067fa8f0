"""A page opened in the machine's own Chromium, by the package that kaleido drives it with."""

import asyncio
import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def require_chromium():
    """Skip the test where there is no Chromium."""
    if not os.environ.get("BROWSER_PATH") and not any(map(shutil.which, NAMES)):
        pytest.skip("needs Chromium or Chrome on PATH, or its path in BROWSER_PATH")


def open_page(path, expression="", seconds=120):
    """Open a report; returns the milliseconds until all figures were drawn, and what `expression` is then."""
    return asyncio.run(_open(f"file://{path}", expression, seconds))


async def _open(address, expression, seconds):
    from choreographer import Browser

    async with Browser(headless=True) as browser:
        tab = await browser.create_tab("about:blank")
        await tab.send_command("Page.navigate", {"url": address})
        for _ in range(seconds * 20):
            drawn = await _evaluate(tab, "document.documentElement?.dataset.drawn ?? ''")
            if drawn:
                return int(drawn), await _evaluate(tab, expression) if expression else None
            await asyncio.sleep(0.05)
    raise AssertionError(f"the figures were not drawn within {seconds} s")


async def _evaluate(tab, expression):
    answer = await tab.send_command("Runtime.evaluate", {"expression": expression, "returnByValue": True})
    return answer["result"]["result"].get("value")
