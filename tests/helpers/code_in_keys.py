"""The files whose code is in the key of each rule. `make code-in-keys` writes them beside their test."""

import ast
import inspect
import tempfile
from contextlib import chdir, suppress
from pathlib import Path

from helpers.artifacts.configured import job_keys, tensorrt_target
from slipway.core.errors import SlipwayError
from slipway.keys.code_hash import SCRIPTS
from slipway.keys.job_key import JobKey
from slipway.keys.job_keys import JobKeys

TABLE = Path(__file__).resolve().parents[1] / "unit" / "keys" / "code_in_keys.txt"
HEAD = """The files whose code is in the key of each rule: an edit of one of them makes the rule's artifacts stale.
Written by `make code-in-keys`. Look at each line that is added: does that file make the artifact?
"""
DEPLOY = {"to": "kserve", "publish": {"to": "claim"}, "signing": {"private_key": "key.pem"}}
WILDCARDS = {"model": "m", "target": "openvino", "precision": "fp32", "variant": "fp16"}


def keys_by_method(keys: JobKeys, wildcards: dict[str, str]) -> dict[str, JobKey]:
    """Return {rule: its key}, for these values of the wildcards. Rules that need settings of their own are left out."""
    found = {}
    for name, method in inspect.getmembers(JobKeys, inspect.isfunction):
        if method.__annotations__.get("return") == JobKey:
            names = [name for name in inspect.signature(method).parameters if name in wildcards]
            with suppress(SlipwayError):
                found[name] = getattr(keys, name)(*(wildcards[name] for name in names))
    return found


def keys_by_rule() -> dict[str, JobKey]:
    """Return the key of each rule, for a CPU target; of an engine one for each runtime."""
    targets = {"openvino": {"runtime": "openvino"}, "onnxruntime": {"runtime": "onnxruntime"}}
    targets["tensorrt"] = tensorrt_target()
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        keys = job_keys(targets, deploy=DEPLOY)
        found = keys_by_method(keys, WILDCARDS)
        found.pop("build_engine")
        return (
            found
            | {f"build_engine of {name}": keys.build_engine(name, "fp32") for name in ("openvino", "onnxruntime")}
            | {"build_engine of tensorrt": keys.build_engine("tensorrt", "fp16")}
        )


def has_code(file: str) -> bool:
    """Return whether a file has more than a docstring."""
    return len(ast.parse((SCRIPTS.parent / file).read_text(encoding="utf-8")).body) > 1


def table() -> str:
    """Return the files by rule, a line for each package."""
    lines = [HEAD]
    for rule, key in sorted(keys_by_rule().items()):
        files = sorted(key["code"])
        packages: dict[str, list[str]] = {}
        for file in files:
            path = Path(file).relative_to("scripts").with_suffix("")
            if path.name != "__init__" or has_code(file):
                packages.setdefault(path.parent.as_posix(), []).append(path.name)
        lines += [
            f"{rule}: {len(files)} files",
            *(f"    {name}: {' '.join(names)}" for name, names in packages.items()),
            "",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
