"""Hash the code of a program and of its imports, so that a job reruns exactly when its code changes.

The hashes are part of a job's key, the settings that Snakemake compares with the last run. Comments, docstrings, line
breaks and messages do not count. `code_normalisation` has the rules. In the user's own package, messages do count,
because a function such as `progress` may be another function in that package. The templates and tables (`.j2`, `.yaml`,
`.json`) beside a module that names them count by their bytes.

A module with `PART_OF_KEYS = False` does not count, and its imports do not either. Such modules only explain errors or
start programs.
"""

import ast
import contextlib
import hashlib
import os
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from importlib.util import resolve_name
from itertools import chain
from pathlib import Path

from slipway.core.artifacts import sha256
from slipway.core.user_modules import SCRIPTS, find_users_module
from slipway.deploy import platforms
from slipway.deploy.platforms import PLATFORMS
from slipway.keys import code_normalisation, users_code
from slipway.keys.code_normalisation import meaning, without_messages
from slipway.keys.file_hash_cache import FileHashCache
from slipway.runtimes import runtime_code, traits_file

# This module finds changed code, but makes no artifact.
PART_OF_KEYS = False

# Endings of templates and tables that modules read.
DATA = (".j2", ".yaml", ".json")
REPOSITORY = SCRIPTS.parent
_ADAPTER = SCRIPTS / "slipway" / "triton" / "repository" / "python_backend_model.py"


class CodeHashes:
    """Computes the hashes of code for the keys of jobs.

    Each method returns {file: first 16 digits of the SHA-256 of the file's code}.
    """

    def __init__(self, file_hashes: FileHashCache | None = None) -> None:
        self._file_hashes = file_hashes or FileHashCache()
        # A plan of hundreds of engines asks for the same code hundreds of times.
        self.of_program = cache(self._hashes_of_program)
        self.of_module = cache(self._hashes_of_module)
        self._of_files = cache(self._hashes_of_files)
        self._of_file = cache(lambda name: self._file_hashes.remember(f"code {_RULES}", REPOSITORY / name, _read))
        self._of_users_module = cache(self._hashes_of_users_module)
        self._own_module = cache(users_code.own_module)

    def _hashes_of_program(self, name: str, *runtimes: str) -> dict[str, str]:
        """Return {file: SHA-256} of the code that scripts/<name>.py runs. Files are relative to the repository.

        The result has the program, and the files of `slipway` and other programs that it imports, directly or
        indirectly. It also has the files of `runtimes`, such as "openvino". Programs import a runtime by its name, so
        no import statement shows it.
        """
        return self._of_files(SCRIPTS / f"{name}.py", *chain.from_iterable(map(runtime_files, runtimes)))

    def of_traits(self, runtimes: Iterable[str]) -> dict[str, str]:
        """Return {file: SHA-256} of the traits.json of each of these runtimes.

        A traits.json has the facts about a runtime that planning needs. Programs load it by its path and do not import
        it, so the hash of a program does not include it.
        """
        return self._of_files(*map(traits_file, sorted(set(runtimes))))

    def of_manifests(self) -> dict[str, str]:
        """Return {file: SHA-256} of the code that makes the manifests of all platforms, such as Kubernetes."""
        modules = [traits.manifests.partition(":")[0] for traits in PLATFORMS.values() if traits.files]
        return self._of_files(*chain.from_iterable(map(_files, modules)))

    def of_deployment(self, platform: str) -> dict[str, str]:
        """Return {file: SHA-256} of the code that deploys to a platform, a name in `deploy.to` such as "kubernetes".

        The result also has the platform's JSON file in deploy/platforms, which names this code.
        """
        module = PLATFORMS[platform].deployment.partition(":")[0]
        return self._of_files(platforms.traits_file(platform), *_files(module))

    def of_adapter(self) -> dict[str, str]:
        """Return {file: SHA-256} of model.py for Triton's Python backend, which programs copy but never import."""
        return self._of_files(_ADAPTER)

    def of_architecture(self, architecture: str) -> dict[str, str]:
        """Return {file: SHA-256} of the user's code in which `architecture`, a "package.module:factory", is defined.

        The result has all Python files of the package, and the user's modules outside of it that they import, directly
        or indirectly. If pip installed the package, and not as editable, return {package: version} instead.

        Return {} for a name without a colon, which is a network of torchvision. Also return {} if the package is not
        found: then the job fails with the reason.
        """
        module, _, factory = architecture.partition(":")
        return self._of_users_module(module.split(".")[0]) if factory else {}

    def _hashes_of_module(self, module: str) -> dict[str, str]:
        """Return {file: SHA-256} of a module of `slipway` and of the files that it imports.

        Programs import such a module by a computed name, so the hash of a program does not include it.
        """
        return self._of_files(*_files(module))

    def _hashes_of_users_module(self, name: str) -> dict[str, str]:
        spec = find_users_module(name)
        if spec is None:
            return {}  # the job says that it cannot be imported
        with contextlib.suppress(metadata.PackageNotFoundError):
            installed = metadata.distribution(name)
            # In an editable installation, the code is not beside the package's metadata.
            if spec.origin and Path(spec.origin).is_relative_to(str(installed.locate_file(""))):
                return {name: installed.version}
        codes: dict[str, str] = {}
        pending = users_code.files_of(spec)
        while pending:
            short, path = pending.popitem()
            if short not in codes:
                codes[short], imports = self._file_hashes.remember(f"users code {_RULES}", path, _read_users)
                pending |= users_code.files_of_imports(short, imports, self._own_module)
        return dict(sorted(codes.items()))

    def _hashes_of_files(self, *files: Path) -> dict[str, str]:
        codes: dict[str, str | None] = {}
        # Modules have the path by which Snakemake was started, such as ../slipway/Snakefile.
        pending = [_name(path.resolve()) for path in files]
        while pending:
            name = pending.pop()
            if name not in codes:
                codes[name], needed = self._of_file(name)
                pending += needed
        return {name: code for name, code in sorted(codes.items()) if code}


def program_file(name: str) -> str:
    """Return the path of scripts/<name>.py relative to the working directory, so a moved clone has equal paths."""
    return os.path.relpath(SCRIPTS / f"{name}.py")


@cache
def runtime_files(runtime: str) -> list[Path]:
    """Return the files of a runtime, such as "openvino": its code, and traits.json, which has facts about it."""
    return [*runtime_code(runtime), traits_file(runtime)]


def digest(code: dict[str, str]) -> str:
    """Return one SHA-256 (hexadecimal) of `code`, which is {file: SHA-256 of its code}."""
    return hashlib.sha256(repr(sorted(code.items())).encode()).hexdigest()


def _read(path: Path) -> tuple[str | None, list[str]]:
    """Return (hash of a file's code, names of the files that this code needs, relative to the repository).

    The needed files are the modules of `slipway` that the file imports, and its templates and tables. For a file with
    `PART_OF_KEYS = False`, return (None, []).
    """
    if path.suffix != ".py":
        return sha256(path)[:16], []
    tree = _parsed(path)
    if any(isinstance(node, ast.Assign) and ast.unparse(node) == "PART_OF_KEYS = False" for node in tree.body):
        return None, []
    needed = {_name(file) for file in [*_imports(path, tree), *_data_files(path, tree)]}
    return _digest_of(meaning(without_messages(tree))), sorted(needed)


def _read_users(path: Path) -> tuple[str, list[str]]:
    """Return (hash of the code of a user's file, with its messages; the modules that it may import).

    For a file that is not valid Python, return the hash of its bytes, and no modules.
    """
    try:
        tree = _parsed(path)
    except (SyntaxError, ValueError):
        return sha256(path)[:16], []
    return _digest_of(meaning(tree)), users_code.imports_in(tree)


def _name(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _digest_of(code: object) -> str:
    return hashlib.sha256(repr(code).encode()).hexdigest()[:16]


# The version of the hashing rules. When it changes, cached hashes are not used any more.
_RULES = _digest_of([Path(file).read_bytes() for file in (__file__, code_normalisation.__file__, users_code.__file__)])


def _data_files(path: Path, tree: ast.AST) -> list[Path]:
    names = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [path.parent / name for name in names if name.endswith(DATA) and (path.parent / name).is_file()]


def _imports(path: Path, tree: ast.AST) -> list[Path]:
    modules: set[str] = set()
    package = os.path.relpath(path.parent, SCRIPTS).replace(os.sep, ".")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            modules.add(module)
            modules.update(f"{module}.{alias.name}" for alias in node.names)
    is_ours = lambda module: module.split(".")[0] == "slipway" or (SCRIPTS / f"{module}.py").is_file()  # noqa: E731
    return [file for module in filter(is_ours, sorted(modules)) for file in _files(module)]


def _files(module: str) -> list[Path]:
    """Return the paths of the Python files that `import module` runs: the module and its parent packages."""
    parts = module.split(".")
    candidates = [SCRIPTS.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    candidates.append(SCRIPTS.joinpath(*parts).with_suffix(".py"))
    return [path for path in candidates if path.is_file()]
