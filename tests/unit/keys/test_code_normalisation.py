"""A reworded message leaves the code of a file as it is; a real change does not."""

import ast
import random

import pytest

from slipway.keys.code_hash import SCRIPTS
from slipway.keys.code_normalisation import meaning, without_messages

FILES = sorted(SCRIPTS.rglob("*.py"))


def code_of(text):
    return meaning(without_messages(ast.parse(text)))


REWORDED = {
    "an error": ('raise SlipwayError("no file")', 'raise SlipwayError("there is no file")'),
    "an f-string instead of a string": ('raise ValueError("no file")', 'raise ValueError(f"no file {path}")'),
    "what an f-string shows": ('raise E(f"no {path}")', 'raise E(f"no {path.name!r}, but {sorted(others):>20}")'),
    "texts joined by writing them in a row": ('raise E("a" "b")', 'raise E("one " f"{two}" "three")'),
    "texts joined by +": ('raise E("a" + name)', 'raise E("one " + "two " + str(name) + "three")'),
    "texts joined by %": ('raise E("%s" % name)', 'raise E("one %s of %d" % (name, number))'),
    "texts joined by a method": ('raise E(", ".join(names))', 'raise E("{} of {}".format(name, len(names)))'),
    "one of two texts": ('raise E("a" if many else "b")', 'raise E("one" if few else f"{two}")'),
    "the name of a call that explains an error": ('raise E(f"{place(x)}")', 'raise E(f"at {where(x, 1)}")'),
    "an error of a module": ('raise errors.Refused("a", 404) from e', 'raise errors.Refused("b", 404) from e'),
    "what is said around an error": ('with amended("a"):\n    f()', 'with amended(f"b {x}"):\n    f()'),
    "the explanation of an error": (
        'with explained_by(lambda error: f"a {error}"):\n    f()',
        'with explained_by(lambda error: f"b {place(error)}"):\n    f()',
    ),
    "content of a file": ('parser(d, "x", y="a")', 'parser(d, "x", y="b")'),
    "an error with its number": ('raise OSError(errno.EIO, "a")', 'raise OSError(errno.EIO, "b")'),
    "an assertion": ('assert ready, "not ready"', 'assert ready, f"{name} is not ready"'),
    "progress": ('progress("done")', 'progress(f"  {name}: done in {seconds:.1f} s, {len(files)} files")'),
    "lines of progress": ('progress("\\n".join(lines))', 'progress("\\n".join(f"  {line}" for line in lines))'),
    "print": ('print("a")', 'print("b")'),
    "print to the terminal": ('print("a", file=sys.stderr)', 'print("b", file=sys.stderr)'),
    "a logger": ('logger.warning("a")', 'logger.warning("b")'),
    "a logger of an object": ('self.logger.info("%d", n)', 'self.logger.info("%d files", n)'),
    "a warning": ('warnings.warn("a", UserWarning)', 'warnings.warn("b", UserWarning)'),
    "help": ('p.add_argument("--x", type=int, help="a")', 'p.add_argument("--x", type=int, help=f"b {DEFAULT}")'),
    "description": (
        'ArgumentParser(description="a")',
        'argparse.ArgumentParser(description="b")'.removeprefix("argparse."),
    ),
    "description of a program here": ('parser("a")', 'parser("b")'),
    "epilog": ('argparse.ArgumentParser(epilog="a")', 'argparse.ArgumentParser(epilog="b")'),
    "docstring": ('def f():\n    """A."""\n    return 1', 'def f():\n    """B."""\n    return 1'),
    "docstring of a method alone": (
        'class A:\n    def f(self):\n        "a"',
        'class A:\n    def f(self):\n        "b"',
    ),
    "text under an attribute": ('x = 1\n"""The x."""', "x = 1"),
    "comment": ("x = 1  # one", "x = 1"),
    "in a lambda in a call": ('f(lambda: progress("a"))', 'f(lambda: progress("b"))'),
    "in a handler": (
        'try:\n    f()\nexcept E:\n    raise F("a") from None',
        'try:\n    f()\nexcept E:\n    raise F("b") from None',
    ),
    "progress that shows what it assigns": ('progress(f"{(n := f())} files")', 'progress(f"read: {(n := f())}")'),
    "progress that shows what it calls": ('progress(f"built in {build()} s")', 'progress(f"{build()} s")'),
}


@pytest.mark.parametrize("pair", REWORDED.values(), ids=REWORDED)
def test_a_reworded_message_is_the_same_code(pair):
    before, after = map(code_of, pair)
    assert before == after


CHANGED = {
    "option of a file": ('parser(d, "x", y="a")', 'parser(d, "x", z="a")'),
    "common option": ('parser(d, "x", y="a")', 'parser(d, "z", y="a")'),
    "function that explains an error": ("with explained_by(why):\n    f()", "with explained_by(other):\n    f()"),
    "type of the error": ('raise ValueError("a")', 'raise KeyError("a")'),
    "condition": ('if x > 1:\n    raise E("a")', 'if x > 2:\n    raise E("a")'),
    "no error any more": ('if x:\n    raise E("a")', 'if x:\n    print("a")'),
    "what an error carries": ('raise Refused("a", 404)', 'raise Refused("a", 500)'),
    "what an error names": ("raise Refused(path)", "raise Refused(other)"),
    "an option of an error": ('raise E("a", kind="x")', 'raise E("a", kind="y")'),
    "an error without its text": ('raise E("a")', "raise E()"),
    "cause": ('raise E("a") from None', 'raise E("a")'),
    "the error is made by a function": ('raise explained(e, "a")', 'raise explained(e, "b")'),
    "what a generator returns": ('raise StopIteration("a")', 'raise StopIteration("b")'),
    "an error that is returned": ('return E("a")', 'return E("b")'),
    "assertion": ('assert x, "a"', 'assert y, "a"'),
    "returned text": ('def f():\n    return "a"', 'def f():\n    return "b"'),
    "returned f-string": ('def f():\n    return f"a {x}"', 'def f():\n    return f"b {x}"'),
    "text in a record": ('record["why"] = "a"', 'record["why"] = "b"'),
    "text that is compared": ('if "a" in str(error):\n    f()', 'if "b" in str(error):\n    f()'),
    "text that is written": ('file.write("a")', 'file.write("b")'),
    "print into a file": ('print("a", file=record)', 'print("b", file=record)'),
    "print with options that are not seen": ('print("a", **options)', 'print("b", **options)'),
    "what progress shows without a text": ("progress(line_of(x))", "progress(other(x))"),
    "what progress does": ('progress(f"{build()} s")', 'progress(f"{destroy()} s")'),
    "what progress assigns": ('progress(f"{(n := 1)}")', 'progress(f"{(m := 1)}")'),
    "what an error assigns": ('raise E(f"{(n := 1)}")', 'raise E(f"{(n := 2)}")'),
    "what progress takes from a queue": ('progress(f"{queue.get()}")', 'progress("taken")'),
    "what progress removes": (
        'progress(", ".join(str(remove(x)) for x in y))',
        'progress(", ".join(str(x) for x in y))',
    ),
    "what progress waits for": ('progress(f"{await f()}")', 'progress("waited")'),
    "what is yielded": ('logger.info(f"{(yield 1)}")', 'logger.info(f"{(yield 2)}")'),
    "a call more": ('progress("a")', 'progress("a")\nprogress("b")'),
    "a filter of a logger": ('logger.addFilter("a")', 'logger.addFilter("b")'),
    "another info": ('release.info("a")', 'release.info("b")'),
    "name of an option": ('p.add_argument("--x", help="a")', 'p.add_argument("--y", help="a")'),
    "default of an option": ('p.add_argument("--x", default="a")', 'p.add_argument("--x", default="b")'),
    "help of something else": ('metric(name="n", help="a")', 'metric(name="n", help="b")'),
    "description of something else": ('Alert(description="a")', 'Alert(description="b")'),
    "bytes": ('raise E(b"a")', 'raise E(b"b")'),
    "a text for a mark": ('raise E("a")', "raise E(message)"),
}


@pytest.mark.parametrize("pair", CHANGED.values(), ids=CHANGED)
def test_a_real_change_is_other_code(pair):
    before, after = map(code_of, pair)
    assert before != after


# Generated from the files of Slipway themselves


def messages(tree):
    """Return the expressions that are only shown: those in errors, lines of progress and help texts."""
    shown = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and ast.unparse(node.exc.func)[:1].isupper():
            shown += [text for text in node.exc.args if not isinstance(text, ast.Call | ast.Subscript | ast.Attribute)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "parser":
            shown += [keyword.value for keyword in node.keywords if isinstance(keyword.value, ast.Constant)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "progress":
            texts = [text for text in node.args if isinstance(text, ast.Constant | ast.JoinedStr)]
            shown += [part for text in texts for part in getattr(text, "values", [text])]
        elif isinstance(node, ast.keyword) and node.arg == "help" and isinstance(node.value, ast.Constant):
            shown += [node.value]
        elif isinstance(node, ast.FunctionDef) and ast.get_docstring(node):
            shown += [node.body[0].value]
    # The program goes on after a line of progress, so calls in its braces count.
    return [part for text in shown if not isinstance(text, ast.FormattedValue) for part in ast.walk(text)]


def test_other_words_in_all_messages_of_a_file_are_the_same_code():
    words = random.Random(5)
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        for part in messages(tree):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                part.value = words.choice(["other words", "a", "It's {braces}, 100 %\n"])
        assert code_of(ast.unparse(tree)) == code_of(text), path


def change(node):
    """Change a comparison, a condition, a value, a default or the type of an error; return whether there was one."""
    match node:
        case ast.Compare():
            node.ops[0] = ast.Gt() if isinstance(node.ops[0], ast.Lt) else ast.Lt()
        case ast.If() | ast.While():
            node.test = ast.UnaryOp(ast.Not(), node.test)
        case ast.Return() | ast.Assign():
            node.value = ast.Constant("another value")
        case ast.keyword() if node.arg not in ("help", "description"):
            node.value = ast.Constant("another value")
        case ast.Raise(exc=ast.Call()):
            node.exc.func = ast.Name("AnotherError", ast.Load())
        case ast.arguments() if node.defaults:
            node.defaults[-1] = ast.Constant("another default")
        case _:
            return False
    return True


@pytest.mark.parametrize("name", ["build_engine.py", "slipway/core/artifacts.py", "slipway/engines/gates.py"])
def test_each_real_change_of_a_file_is_other_code(name):
    text = (SCRIPTS / name).read_text(encoding="utf-8")
    tree = ast.parse(text)
    shown = messages(tree)
    real = [node not in shown and getattr(node, "value", None) not in shown for node in ast.walk(tree)]
    places = [place for place, node in enumerate(ast.walk(tree)) if real[place] and change(node)]
    for place in random.Random(name).sample(places, 20):
        tree = ast.parse(text)
        node = list(ast.walk(tree))[place]
        assert change(node)
        assert code_of(ast.unparse(tree)) != code_of(text), ast.unparse(node)
