"""A misspelt "package.module:name" is refused while planning; a name that only a run can tell is not."""

import sys

import pytest

from slipway.core.errors import SlipwayError
from slipway.keys.users_functions import require_function

MODULE = """
from elsewhere import imported
import elsewhere.below as renamed

def samples():
    def inner(): ...

async def streamed(): ...

class Network:
    def method(self): self.eval()

first, (second, *rest) = make()
typed: object = make()

if renamed:
    try:
        with make() as opened:
            conditional = lambda: 1
    except ImportError:
        fallback = None

for looped in make():
    pass

if (walrus := make()) and [deep := each for each in make()]:
    pass

def late():
    global declared
    declared = 1
"""
PRESENT = [
    "imported",
    "renamed",
    "samples",
    "streamed",
    "Network",
    "Network.method",
    "first",
    "second",
    "rest",
    "typed",
    "opened",
    "conditional",
    "fallback",
    "looped",
    "walrus",
    "deep",
    "late",
    "declared",
]


@pytest.fixture(autouse=True)
def own(in_an_empty_folder, tmp_path, monkeypatch):
    """Make the package own_code, with the module `text`, and a folder without __init__.py, with the module `deep`."""
    package = tmp_path / "own_code"
    (package / "folder").mkdir(parents=True)
    (package / "__init__.py").write_text("from .text import samples\n")
    (package / "text.py").write_text(MODULE)
    (package / "folder/deep.py").write_text("def make(): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return package


def refusal(reference):
    with pytest.raises(SlipwayError) as caught:
        require_function("models.m.samples", reference)
    assert str(caught.value).startswith(f"config: `models.m.samples` is {reference}, but ")
    assert not [name for name in sys.modules if name.split(".")[0] == "own_code"], "nothing is imported"
    return str(caught.value)


@pytest.mark.parametrize("name", PRESENT)
def test_every_name_that_a_module_gives_itself_is_taken(name):
    require_function("models.m.samples", f"own_code.text:{name}")


@pytest.mark.parametrize(
    "reference", ["own_code:samples", "own_code:text", "own_code:folder", "own_code.folder.deep:make"]
)
def test_names_of_packages_and_folders_are_taken(reference):
    require_function("models.m.samples", reference)


MISTAKES = {
    "own_code.text:sampels": "text.py has no sampels; did you mean samples?",
    "own_code.text:Netwrok.method": "text.py has no Netwrok; did you mean Network?",
    "own_code.text:inner": "text.py has no inner; ",
    "own_code.text:method": "text.py has no method; ",
    "own_code.text:elsewhere": "text.py has no elsewhere; ",
    "own_code.text:zzz": "text.py has no zzz; correct it in config.yaml",
    "own_code:zzz": "__init__.py has no zzz; correct it in config.yaml",
    "own_code.txt:samples": "__init__.py has no module txt; did you mean text?",
    "own_code.text.more:samples": "text.py has no module more; correct it in config.yaml",
    "own_code.folder.deep:mak": "deep.py has no mak; did you mean make?",
    "own_code.folder.dep:make": "folder has no module dep; did you mean deep?",
    "own_cod:samples": "Python finds no package own_cod; if it is in this folder: export PYTHONPATH=.",
}


@pytest.mark.parametrize("reference", MISTAKES)
def test_a_misspelt_name_is_refused_with_the_nearest(reference):
    assert MISTAKES[reference] in refusal(reference)


HIDDEN = {
    "a star": "from elsewhere import *",
    "a function for missing names": "def __getattr__(name): ...",
    "its dictionary of names": "globals()['sampels'] = 1",
    "code in a text": "exec('sampels = 1')",
    "itself by name": "import sys\nsetattr(sys.modules[__name__], 'sampels', 1)",
    "another module in its place": "import sys\nsys.modules[__name__] = object()",
    "no valid Python": "def",
    "another encoding than it says": "# coding: nonsense\n",
}


@pytest.mark.parametrize("way", HIDDEN)
def test_a_name_that_only_a_run_can_tell_is_left_to_the_job(way, own):
    (own / "text.py").write_text(HIDDEN[way])
    require_function("models.m.samples", "own_code.text:sampels")


@pytest.mark.parametrize("code", ["from . import text\ntext.sampels = 1", "__path__.append('elsewhere')"])
def test_a_package_may_give_its_modules_names_and_places(code, own):
    (own / "__init__.py").write_text(code)
    require_function("models.m.samples", "own_code.text:sampels")


def test_compiled_modules_are_left_to_the_job(own):
    (own / "text.py").rename(own / "text.pyc")
    require_function("models.m.samples", "own_code.text:sampels")
    require_function("models.m.samples", "_socket:sampels")
    require_function("models.m.samples", "builtins:sampels")
