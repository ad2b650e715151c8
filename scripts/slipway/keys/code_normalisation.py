"""Remove messages from the code of a file, so that a reworded message makes no artifact stale.

A syntax tree has no comments and no line breaks. These texts for human readers are removed, too:

1. a text as a statement of its own, such as a docstring;
2. a text in `raise SomeError(...)`, `amended(...)` or `explained_by(lambda error: ...)`, or after `assert condition,`;
   the type of the error remains;
3. a text in `progress(...)`, `print(...)`, `warnings.warn(...)`, `logger.info(...)` or another level; the call remains.
   If `file=` sends the text elsewhere than to the terminal, it remains, too;
4. `help=`, `description=` and `epilog=` of argparse, and in `parser("description", *options, name="content")` the
   description and the contents of files; the options remain.

A text is a string or an f-string, also if it is joined by `+`, `%`, `.join(...)` or `.format(...)`, or part of a
conditional expression. The expressions in a text are removed with it, unless they have effects: an assignment (`:=`),
`await` and `yield` remain. If the program continues after the text, each call remains, except calls of read-only
builtins and methods.

Everything else remains: conditions, other arguments, and texts that are assigned, returned, compared or written.
"""

import ast

_SHOWING = {"progress", "print", "warnings.warn"}
_LOGGERS = {"logger", "logging"}
_LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
_TERMINAL = {"sys.stdout", "sys.stderr"}
_ARGPARSE = {"ArgumentParser", "add_argument", "add_parser", "add_subparsers", "add_argument_group"}
_HELP = {"help", "description", "epilog"}
# The context managers of core/errors.py, which raise an error with their text.
_EXPLAINING = {"amended", "explained_by"}
# These exceptions end a generator. Their argument is the generator's return value.
_RETURNING = {"StopIteration", "StopAsyncIteration"}
_DOING = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
_READING_BUILTINS = {"abs", "float", "int", "len", "list", "max", "min", "repr", "round", "set", "sorted", "str", "sum"}
_READING_METHODS = {
    *("as_posix", "capitalize", "items", "keys", "lower", "removeprefix", "removesuffix", "strip", "values")
}
# No valid name in Python, so it equals no expression in a file.
_MARK = ast.Name("a message", ast.Load())


def meaning(node: object) -> object:
    """Return a syntax tree as nested lists, which are equal in all versions of Python, so that their hash is, too.

    Docstrings and other texts that stand as a statement are left out.
    """
    if isinstance(node, list):
        return [meaning(element) for element in node if not _is_text_as_statement(element)]
    if not isinstance(node, ast.AST):
        return node
    fields = [(name, meaning(value)) for name, value in ast.iter_fields(node)]
    return [type(node).__name__, *(field for field in fields if field[1] not in (None, []))]


def without_messages(tree: ast.AST) -> ast.AST:
    """Replace each message for a human reader in a syntax tree with the placeholder `_MARK`, and return the tree.

    So a reworded message does not change the hash of the code. The module's docstring lists the messages.
    """
    return _Messages().visit(tree)


class _Messages(ast.NodeTransformer):
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
        to_the_terminal = all(_name(to.value) in _TERMINAL for to in node.keywords if to.arg in ("file", None))
        if name == "parser":
            node.args[:1] = map(_marked, node.args[:1])
        elif _shows(name) and to_the_terminal:
            node.args = [_marked(argument) for argument in node.args]
        for keyword in node.keywords:
            if name == "parser" or (_last(name) in _ARGPARSE and keyword.arg in _HELP):
                keyword.value = _marked(keyword.value)
        if name in _EXPLAINING:
            node.args = [_explanation(argument) for argument in node.args]
            for keyword in node.keywords:
                keyword.value = _explanation(keyword.value)
        return self.generic_visit(node)


def _marked(node: ast.expr, ends: bool = False) -> ast.expr:
    """Return the placeholder of messages (`_MARK`) if `node` is a text; return any other node unchanged.

    If expressions in the text have effects, such as `await`, return a tuple of the placeholder and these expressions,
    so that they still count. With `ends`, the text belongs to a raised error, so function calls in the text are
    removed, too.
    """
    if not _is_text(node):
        return node
    parts = (part for part in ast.walk(node) if isinstance(part, ast.expr))
    doing = [part for part in parts if isinstance(part, _DOING) or not (ends or _only_reads(part))]
    return ast.Tuple([_MARK, *doing], ast.Load()) if doing else _MARK


def _explanation(node: ast.expr) -> ast.expr:
    """Return the argument of `amended` or `explained_by` with the placeholder in place of its text.

    If the argument is a lambda that returns the text, its body is replaced.
    """
    if isinstance(node, ast.Lambda):
        return ast.Lambda(node.args, _marked(node.body, ends=True))
    return _marked(node, ends=True)


def _is_text(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return True
        case ast.BinOp(op=ast.Add()):
            return _is_text(node.left) or _is_text(node.right)
        case ast.BinOp(op=ast.Mod()):
            return _is_text(node.left)
        case ast.Call(func=ast.Attribute(value=text, attr="join" | "format")):
            return _is_text(text)
        case ast.IfExp():
            return _is_text(node.body) and _is_text(node.orelse)
    return False


def _only_reads(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(name)):
            return name in _READING_BUILTINS
        case ast.Call(func=ast.Attribute(value, method)):
            return method in _READING_METHODS or _is_text(value)
    return not isinstance(node, ast.Call)


def _name(node: ast.expr) -> str:
    """Return the dotted name in an expression, such as "logging.info"; "" if the expression is no name or attribute."""
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _is_class(name: str) -> bool:
    """Say whether `name` in `raise name(...)` is spelled like an exception's class. Then its arguments are a message.

    StopIteration and StopAsyncIteration do not count, because their argument is a generator's return value.
    """
    return _last(name).lstrip("_")[:1].isupper() and _last(name) not in _RETURNING


def _shows(name: str) -> bool:
    before, _, level = name.rpartition(".")
    return name in _SHOWING or (_last(before) in _LOGGERS and level in _LEVELS)


def _is_text_as_statement(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
