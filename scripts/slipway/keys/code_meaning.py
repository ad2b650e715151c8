"""The code of a file without its messages, so that a reworded message makes no artifact stale.

Comments and line breaks are not in a syntax tree. The texts that only a person reads are taken out of it:

1. a text that stands by itself, such as a docstring;
2. a text in `raise SomeError(...)`, or after `assert condition,`; the type of the error stays;
3. a text in `progress(...)`, `print(...)`, `warnings.warn(...)`, `logger.info(...)` or another level; the call stays,
   and so does a text that `file=` sends elsewhere than to the terminal;
4. `help=`, `description=` and `epilog=` of argparse, and the description given to `parser(...)`; the option stays.

A text is a string or an f-string, also joined by `+`, `%`, `.join(...)` or `.format(...)`, or chosen by `if ... else`.
The expressions in a text are only shown, and go with it. Those that do more stay: an assignment (`:=`), `await` and
`yield`, and where the program goes on, each call of anything but a builtin or a method that only reads.
All else stays: conditions, other arguments, and texts that are assigned, returned, compared or written.
"""

import ast

_SHOWING = {"progress", "print", "warnings.warn"}
_LOGGERS = {"logger", "logging"}
_LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
_TERMINAL = {"sys.stdout", "sys.stderr"}
_ARGPARSE = {"ArgumentParser", "add_argument", "add_parser", "add_subparsers", "add_argument_group"}
_HELP = {"help", "description", "epilog"}
# They end a generator, and their argument is the value that it returns.
_RETURNING = {"StopIteration", "StopAsyncIteration"}
_DOING = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
_READING_FUNCTIONS = {
    "abs",
    "float",
    "int",
    "len",
    "list",
    "max",
    "min",
    "repr",
    "round",
    "set",
    "sorted",
    "str",
    "sum",
}
_READING_METHODS = {
    "as_posix",
    "capitalize",
    "items",
    "keys",
    "lower",
    "removeprefix",
    "removesuffix",
    "strip",
    "values",
}
# No name of Python, so no expression that is written in a file equals it.
_MARK = ast.Name("a message", ast.Load())


def meaning(node: object) -> object:
    """Return a syntax tree as lists, the same in every version of Python, without texts that stand by themselves."""
    if isinstance(node, list):
        return [meaning(element) for element in node if not _stands_by_itself(element)]
    if not isinstance(node, ast.AST):
        return node
    fields = [(name, meaning(value)) for name, value in ast.iter_fields(node)]
    return [type(node).__name__, *(field for field in fields if field[1] not in (None, []))]


def without_messages(tree: ast.AST) -> ast.AST:
    """Return a syntax tree with a mark for each text that is shown to a person."""
    return _Messages().visit(tree)


class _Messages(ast.NodeTransformer):
    """Puts a mark in the place of each message."""

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        error = node.exc
        if isinstance(error, ast.Call) and _is_class(_name(error.func)):
            error.args = [_marked(argument, ends=True) for argument in error.args]
        return self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.msg = node.msg and _marked(node.msg, ends=True)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = _name(node.func)
        if name == "parser" or (_shows(name) and _goes_to_the_terminal(node)):
            node.args = [_marked(argument) for argument in node.args]
        if name == "parser" or _last(name) in _ARGPARSE:
            for keyword in node.keywords:
                if keyword.arg in _HELP:
                    keyword.value = _marked(keyword.value)
        return self.generic_visit(node)


def _marked(node: ast.expr, ends: bool = False) -> ast.expr:
    """Return a mark for a text, with what its expressions do beside being shown; else the expression itself.

    `ends`: the program raises an error with it, so calls in the text only explain the error.
    """
    if not _is_text(node):
        return node
    doing = [part for part in ast.walk(node) if isinstance(part, _DOING) or not (ends or _only_reads(part))]
    return ast.Tuple([_MARK, *doing], ast.Load()) if doing else _MARK


def _is_text(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return True
        case ast.BinOp(op=ast.Add()):
            return _is_text(node.left) or _is_text(node.right)
        case ast.BinOp(op=ast.Mod()):
            return _is_text(node.left)
        case ast.Call(func=ast.Attribute(attr="join" | "format")):
            return _is_text(node.func.value)
        case ast.IfExp():
            return _is_text(node.body) and _is_text(node.orelse)
    return False


def _only_reads(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(name)):
            return name in _READING_FUNCTIONS
        case ast.Call(func=ast.Attribute(value, method)):
            return method in _READING_METHODS or _is_text(value)
    return not isinstance(node, ast.Call)


def _name(node: ast.expr) -> str:
    """Return a name or an attribute as it is written, such as `logging.info`; an empty text for what else is called."""
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _is_class(name: str) -> bool:
    """Return whether a name is written as a class is; a function that makes an error may look at its arguments."""
    return _last(name).lstrip("_")[:1].isupper() and _last(name) not in _RETURNING


def _shows(name: str) -> bool:
    before, _, level = name.rpartition(".")
    return name in _SHOWING or (_last(before) in _LOGGERS and level in _LEVELS)


def _goes_to_the_terminal(node: ast.Call) -> bool:
    return all(_name(keyword.value) in _TERMINAL for keyword in node.keywords if keyword.arg in ("file", None))


def _stands_by_itself(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
