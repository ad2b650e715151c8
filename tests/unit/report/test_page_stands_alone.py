"""The page asks no host for anything, is well-formed, and opens without an error of the browser."""

import base64
import io
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from helpers.artifacts import reported, sampled
from PIL import Image

from slipway.report.index import write_index
from slipway.report.page import write_page
from slipway.report.recipe import Recipe

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--enable-logging=stderr", "--v=0", "--dump-dom", "--hide-scrollbars", "--allow-file-access-from-files"),
)
VOID = {"meta", "img", "br", "hr", "link", "input"}
# Attributes that make a browser fetch something, and elements that do.
FETCHING = {"src", "href", "xlink:href", "srcset", "data", "poster", "action", "background"}
FORBIDDEN = {"script", "link", "iframe", "object", "embed", "base", "form", "audio", "video", "foreignObject"}


class Markup(HTMLParser):
    """The elements of a page; every one has to end where HTML says."""

    def __init__(self, text):
        super().__init__()
        self.open, self.addresses, self.tags, self.ids, self.named, self.styles = [], [], set(), [], [], ""
        self.alternatives = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.add(tag)
        self.addresses += [attributes[name] for name in FETCHING & attributes.keys()]
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.named += attributes.get("aria-labelledby", "").split()
        self.styles += attributes.get("style", "")
        if tag == "img":
            self.alternatives.append(attributes.get("alt"))
        assert not [name for name in attributes if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.styles += data


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of a classifier on two targets, with its samples."""
    folder = reported.write_records(tmp_path_factory.mktemp("results"))
    sampled.write_samples(folder, changed={3})
    write_page(folder, folder / "report.html", Recipe(reported.ENGINES, reported.VARIANTS, True))
    write_index(folder.parent / "index.html", [folder / "report.html"])
    return folder / "report.html"


@pytest.mark.parametrize("name", ["report.html", "../index.html"])
def test_nothing_is_fetched_from_anywhere(page, name):
    markup = Markup((page.parent / name).read_text(encoding="utf-8"))
    own = {"../index.html", "resnet50/report.html"}
    assert all(address in own or address.startswith("data:image/jpeg;base64,") for address in markup.addresses)
    assert FORBIDDEN & markup.tags == set()
    assert "url(" not in markup.styles
    assert "@import" not in markup.styles
    hosts = re.findall(r"\w+://[^\s\"<]*", (page.parent / name).read_text(encoding="utf-8"))
    assert {address for address in hosts if address != "http://www.w3.org/2000/svg"} == set()


def test_every_drawing_and_every_sample_has_words_for_people_who_do_not_see_it(page):
    markup = Markup(page.read_text(encoding="utf-8"))
    assert len(markup.named) == 2 * page.read_text(encoding="utf-8").count("<svg ")
    assert set(markup.named) <= set(markup.ids)
    assert len(set(markup.ids)) == len(markup.ids)
    assert len(markup.alternatives) == 18  # nine samples on each target
    assert all(markup.alternatives)


def test_the_sample_is_shown_with_its_classes_before_and_after(page):
    text = page.read_text(encoding="utf-8")
    assert "The most likely class is the same for 8 of 9." in text
    assert "bolo tie</td>" in text
    assert "&lt;i&gt;</td>" in text
    pictures = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", text)
    middle = Image.open(io.BytesIO(base64.b64decode(pictures[4])))  # its pixels are the mean
    assert middle.size == (8, 8)
    assert all(abs(value - 128) < 4 for value in middle.getpixel((4, 4)))


def opened(file):
    """Open a file in a browser; return its elements as text, once no error was reported."""
    if BROWSER is None:
        pytest.skip("no Chromium is installed: Debian's package is `chromium`")
    command = [BROWSER, *OPTIONS, f"--user-data-dir={file.parent / 'profile'}", file.as_uri()]
    browser = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert "CONSOLE" not in browser.stderr
    return browser.stdout


def test_the_page_opens_without_an_error(page):
    assert "measurements" in opened(page)
    assert "Slipway" in opened(page.parents[1] / "index.html")


def test_no_part_of_a_page_is_wider_than_a_phone_or_a_window(page):
    frames = page.parents[1] / "frames.html"
    shown = [(name, width) for name in ("resnet50/report.html", "index.html") for width in (390, 1100)]
    elements = [f'<iframe src="{name}" style="width: {width}px; border: 0"></iframe>' for name, width in shown]
    measuring = "frame => frame.dataset.wide = frame.contentDocument.documentElement.scrollWidth"
    script = f"onload = () => document.querySelectorAll('iframe').forEach({measuring})"
    frames.write_text(f"<body>{''.join(elements)}<script>{script}</script></body>", encoding="utf-8")
    assert re.findall(r'data-wide="(\d+)"', opened(frames)) == ["390", "1100"] * 2
