"""The report page of some records, as its readers see it."""

from html.parser import HTMLParser

from helpers.artifacts import reported
from write_report import main, parse_arguments

VOID = {"meta", "img"}


class Page(HTMLParser):
    """The page as a reader sees it: text by element, rows of tables, and whether every element ends."""

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.text, self.classes, self.fetched = [], [], "", [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.fetched += [attributes[name] for name in ("src", "href") if name in attributes]
        if tag == "tr":
            self.rows.append([])
            self.classes.append(attributes.get("class"))
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def written(folder, engines=tuple(reported.ENGINES)):
    """Write the page of the records in a folder; return its path."""
    output = folder / "report.html"
    options = ["--evaluated", "--folder", str(folder), "--engines", *engines, "--variants", *reported.VARIANTS]
    main(parse_arguments([*options, "--output", str(output)]))
    return output
