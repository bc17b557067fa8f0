"""A written page, read."""

import json
from html.parser import HTMLParser


class Page(HTMLParser):
    """What a browser would make of the file: tags with attributes, visible text, scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.text, self._open = [], [], "", ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open = tag if tag in ("script", "style") else self._open
        if tag == "script":
            self.scripts.append([dict(attrs), ""])

    def handle_endtag(self, tag):
        self._open = "" if tag == self._open else self._open

    def handle_data(self, data):
        if self._open == "script":
            self.scripts[-1][1] += data
        elif not self._open:
            self.text += data

    @property
    def figures(self):
        return {
            attrs["id"]: json.loads(text) for attrs, text in self.scripts if attrs.get("id", "").startswith("data-")
        }

    @property
    def words(self):
        return " ".join(self.text.split())
