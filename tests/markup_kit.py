"""Texts that would run where somebody forgets to escape them, and a reader of pages that finds what would run."""

from __future__ import annotations

from html.parser import HTMLParser

SCRIPT = "<script>alert(1)</script>"
# One of each kind, in one line that any field for words may hold.
EVIL = (
    f'{SCRIPT}"onmouseover="alert(2)" \'onfocus=\'alert(3) --> ]]> </title></textarea></style><img src=x onerror=alert(4)>'
    "[a](javascript:alert(5)) {{7*7}}{% raw %} &lt;b&gt; \\u003cb"
)
LINK = "javascript:alert(6)"
# What nobody sees, or what turns around what follows.
UNSEEN = ("a\u202eb", "a\u2066b", "a\u200bb", "a\x07b", "a\x1b[31mb", "a\x00b", "a\x85b", "a\ufeffb")

_ADDRESSES = ("href", "src", "action", "formaction", "content", "data", "srcset", "poster", "xlink:href")


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.marks, self.wrong, self.words, self.links = set(), [], [], []
        self._script = False

    def handle_starttag(self, tag, attrs):
        self._script = tag == "script"
        for name, value in attrs:
            self.marks.add((tag, name))
            if name in _ADDRESSES:
                self.links.append(value or "")
            if name.startswith("on") or name in ("style", "srcdoc"):
                self.wrong.append(f"<{tag} {name}={value!r}>")
            if name in _ADDRESSES and (value or "").strip().lower().startswith(("javascript", "vbscript", "data:text")):
                self.wrong.append(f"<{tag} {name}={value!r}>")
        self.marks.add((tag, ""))
        if self._script and not str(dict(attrs).get("src", "")).startswith("/static/"):
            self.wrong.append(f"<script {attrs}>")

    def handle_endtag(self, tag):
        self._script = False

    def handle_data(self, data):
        if self._script and data.strip():
            self.wrong.append(f"a script with {data[:60]!r}")
        self.words.append(data)

    def handle_comment(self, data):
        self.wrong.append(f"a comment {data[:60]!r}")

    def unknown_decl(self, data):
        self.wrong.append(f"a declaration {data[:60]!r}")


def read(text):
    """Gives a page as it is read: `marks` (tags with their attributes), `wrong`, `words`, and `links`."""
    found = _Reader()
    found.feed(text)
    found.close()
    return found


def words(text):
    """Gives all that a page says, as one line."""
    return " ".join("".join(read(text).words).split())


def plain(text):
    """Gives a text as `words` gives it back."""
    return " ".join(text.split())
