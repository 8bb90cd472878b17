"""What a reader of a report sees, and what a browser would load for it."""

import base64
from html.parser import HTMLParser


class Reader(HTMLParser):
    """Parses a page: its text, its table rows, its pictures, and the names of its elements."""

    def __init__(self, page):
        super().__init__()
        self.text, self.rows, self.pictures, self.elements, self.loaded = "", [], [], set(), []
        self._inside = []
        self.feed(page)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attributes):
        self.elements.add(tag)
        for name, value in attributes:
            assert not name.startswith("on"), name
            if name in ("src", "href", "srcset", "data", "action"):
                kind, _, content = value.partition(",")
                assert kind == "data:image/png;base64", kind
                self.pictures.append(base64.b64decode(content, validate=True))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "br":
            self.handle_data("\n")
        self._inside.append(tag)

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" not in self._inside:
            self.text += data
        if self.rows and {"td", "th"} & {*self._inside}:
            self.rows[-1][-1] += data
