"""A CycloneDX bill of materials of a deployment: model, weights, ONNX files, engines, served files, image, packages.

A target is a kind of GPU or CPU that config.yaml names. The same records give the same bytes: the bill has no time, and
its serial number is derived from its content.
"""

import itertools
import json
import re
import uuid
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from slipway.contract.contract import Contract
from slipway.runtimes import RUNTIMES

# The UUID namespace of the serial numbers. This value must never change.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/slipway")


@dataclass(frozen=True)
class Served:
    """The records of one target's deployed files, from which its part of the bill is made.

    `index` is the index of the model repository (repository.json), `onnx` the record of the ONNX file, and `image` the
    name of the container image.
    """

    target: str
    index: dict
    onnx: dict
    image: str


def bill(
    model: str, weights: dict, served: list[Served], packages: dict[str, str], serving_packages: dict[str, str]
) -> str:
    """Return the bill of materials of a deployed model as CycloneDX's JSON text.

    `weights` is the content of weights.json, and `served` has the records of each target. `packages` is {name: version}
    of the environment that built the engines, and `serving_packages` of the serving environment.
    """
    version = weights["sha256"][:12]
    deployed = _component(ComponentType.APPLICATION, model, f"deployment:{model}", version=version)
    bom = Bom(serial_number=NAMESPACE, metadata=BomMetaData(component=deployed))
    bom.metadata.timestamp = None  # type: ignore[assignment]  # so that the library writes no time
    made = {name: _package(name, version) for name, version in sorted(packages.items())}
    workflow = _component(ComponentType.APPLICATION, "slipway", "workflow")
    facts = _chosen(weights, "origin", "program", "architecture", "arguments", "weights", "parameters")
    kind = ComponentType.MACHINE_LEARNING_MODEL
    learned = _component(kind, model, f"model:{model}", facts, weights["sha256"], version=version)
    file = _file("program" if weights.get("program") else "weights.safetensors", weights["sha256"], "weights")
    served_by = [_package(*package) for package in sorted(serving_packages.items() - packages.items())]
    _need(bom, workflow, [*made.values(), *served_by])
    _need(bom, learned, [file, workflow])
    _need(bom, file, [])
    leaves = [_of_target(bom, part, file, workflow, _runtime(part.index, made)) for part in served]
    _need(bom, deployed, [learned, *itertools.chain(*leaves)])
    bom.serial_number = uuid.uuid5(NAMESPACE, _text(bom))
    return _text(bom)


def _of_target(
    bom: Bom, served: Served, weights: Component, workflow: Component, runtime: Component
) -> list[Component]:
    """Add the components of one target to `bom`; return those on which the deployment depends.

    These are the container image and the served files. `weights`, `workflow` and `runtime` are the components from
    which the target's files were made.
    """
    index, key, chain = served.index, served.index["engine_key"], served.index["chain"]
    contract, facts = Contract.of(index["contract"]), _chosen(served.onnx, "variant", "opset")
    for side in ("inputs", "outputs"):
        facts[side] = [tensor.in_words() for tensor in getattr(contract, side)]
    onnx = _file(f"{served.onnx['variant']}.onnx", chain["onnx_sha256"], "onnx", **facts)
    image = _image(served.image)
    _need(bom, image, [])
    _need(bom, runtime, [])
    _need(bom, onnx, [weights, workflow])
    engines = {}
    for name, digest in chain["engine_files"].items():
        facts = _chosen(key, "precision", "hardware")
        engines[digest] = _file(f"{served.target}/{name}", digest, "engine", target=served.target, **facts)
        _need(bom, engines[digest], [onnx, runtime, workflow])
    files = []
    for name, digest in index["files"].items():
        place = f"{served.target}/repository/{index['name']}/{name}"
        files.append(_file(place, digest, "served", target=served.target))
        _need(bom, files[-1], [engines.get(digest, workflow)])
    return [image, *files]


def _need(bom: Bom, component: Component, needed: list[Component]) -> None:
    """Add a component to `bom`, unless `bom` has it already, and record the components `needed` on which it depends."""
    bom.components |= {component, *needed} - {bom.metadata.component}
    bom.register_dependency(component, needed)


def _component(
    kind: ComponentType, name: str, ref: str, facts: dict | None = None, digest: str = "", **more: Any
) -> Component:
    """Return a component of the bill, called `name`. `digest` is its SHA-256, "" for none.

    `ref` identifies the component within the bill. `facts`, {name: JSON value}, become its properties, as text. `more`
    has further fields of cyclonedx's Component.
    """
    properties = [
        Property(name=f"slipway:{name}", value=value if isinstance(value, str) else json.dumps(value, sort_keys=True))
        for name, value in sorted((facts or {}).items())
    ]
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest else []
    return Component(type=kind, name=name, bom_ref=ref, properties=properties, hashes=hashes, **more)


def _file(name: str, digest: str, kind: str, **facts: object) -> Component:
    return _component(ComponentType.FILE, name, f"{kind}:{name}@{digest[:12]}", {"kind": kind, **facts}, digest)


def _package(name: str, version: str) -> Component:
    url = PackageURL("pypi", name=name, version=version)
    return _component(ComponentType.LIBRARY, name, str(url), version=version, purl=url)


def _runtime(index: dict, packages: dict[str, Component]) -> Component:
    """Return the component of the runtime that built an engine, from the index of the repository.

    It is one of `packages`, {name: component}; or a new component if the runtime is separate from the packages, such as
    TensorRT of another interpreter.
    """
    key = index["engine_key"]
    name, version = key["runtime"], key["runtime_version"]
    package = packages.get(RUNTIMES[name].package)
    if package and package.version == version:
        return package
    url = PackageURL("pypi", name=RUNTIMES[name].package, version=version)
    ref, facts = f"runtime:{name}@{version}", _chosen(key, "cuda")
    return _component(ComponentType.FRAMEWORK, name, ref, facts, version=version, purl=url)


def _image(image: str) -> Component:
    """Return the component of the container image `image`.

    Its package URL has the digest; if there is none, only the tag.
    """
    named, _, digest = image.partition("@")
    path, colon, tag = named.rpartition(":")
    repository, tag = (path, tag) if colon and "/" not in tag else (named, "")
    qualifiers = {"repository_url": repository, **({"tag": tag} if tag else {})}
    url = PackageURL("oci", name=PurePosixPath(repository).name, version=digest or None, qualifiers=qualifiers)
    sha256 = digest.removeprefix("sha256:") if re.fullmatch("sha256:[0-9a-f]{64}", digest) else ""
    kind, version = ComponentType.CONTAINER, tag or digest
    return _component(kind, repository, f"image:{image}", digest=sha256, version=version, purl=url)


def _chosen(record: dict, *names: str) -> dict:
    return {name: record[name] for name in names if record.get(name) not in (None, {}, "")}


def _text(bom: Bom) -> str:
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"
