"""A CycloneDX bill of materials of a deployment: model, weights, ONNX files, engines, served files, image, packages.

The same records give the same bytes: the bill has no time, and its serial number is derived from its content.
"""

import json
import re
import uuid
from dataclasses import dataclass
from pathlib import PurePosixPath

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from slipway.contract.contract import Contract
from slipway.runtimes import RUNTIMES

# The UUID namespace of the serial numbers. It must never change.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/slipway")
# The properties of an engine's build, by their names in its key.
_OF_ENGINE = ("precision", "hardware")
# The properties of an ONNX file, by their names in its record.
_OF_ONNX = ("variant", "opset")
_OF_MODEL = ("origin", "architecture", "arguments", "weights", "parameters")


@dataclass(frozen=True)
class Served:
    """The served parts of one target: the repository's index, the record of its ONNX file, the image."""

    target: str
    index: dict
    onnx: dict
    image: str


def bill(
    model: str, weights: dict, served: list[Served], packages: dict[str, str], serving_packages: dict[str, str]
) -> str:
    """Return the bill as JSON, from a model's `weights` record, the served parts of each target, and the packages.

    `packages`: {name: version} of the environment that builds, `serving_packages` of the one that serves.
    """
    version = weights["sha256"][:12]
    deployed = Component(type=ComponentType.APPLICATION, name=model, version=version, bom_ref=f"deployment:{model}")
    bom = Bom(serial_number=NAMESPACE, metadata=BomMetaData(component=deployed))
    bom.metadata.timestamp = None
    made = {name: _package(name, version) for name, version in sorted(packages.items())}
    workflow = Component(type=ComponentType.APPLICATION, name="slipway", bom_ref="workflow")
    learned = _model(model, weights)
    file = _file("weights.safetensors", weights["sha256"], "weights")
    served_by = [_package(*package) for package in sorted(serving_packages.items() - packages.items())]
    _need(bom, workflow, [*made.values(), *served_by])
    _need(bom, learned, [file, workflow])
    _need(bom, file, [])
    leaves = [leaf for each in served for leaf in _of_target(bom, each, file, workflow, _runtime(each.index, made))]
    _need(bom, deployed, [learned, *leaves])
    bom.serial_number = uuid.uuid5(NAMESPACE, _text(bom))
    return _text(bom)


def _of_target(
    bom: Bom, served: Served, weights: Component, workflow: Component, runtime: Component
) -> list[Component]:
    """Add the components of one target; return the direct dependencies of the deployment: image and served files."""
    index, key, chain = served.index, served.index["engine_key"], served.index["chain"]
    onnx = _file(
        f"{served.onnx['variant']}.onnx", chain["onnx_sha256"], "onnx", _told(served.onnx, _OF_ONNX) | _tensors(index)
    )
    properties = {"target": served.target, **_told(key, _OF_ENGINE)}
    engines = [
        _file(f"{served.target}/{name}", digest, "engine", properties) for name, digest in chain["engine_files"].items()
    ]
    image = _image(served.image)
    files = [
        _file(f"{served.target}/repository/{index['name']}/{name}", digest, "served", {"target": served.target})
        for name, digest in index["files"].items()
    ]
    _need(bom, image, [])
    _need(bom, runtime, [])
    _need(bom, onnx, [weights, workflow])
    for engine in engines:
        _need(bom, engine, [onnx, runtime, workflow])
    digests = dict(zip(chain["engine_files"].values(), engines, strict=True))
    for file, digest in zip(files, index["files"].values(), strict=True):
        _need(bom, file, [digests.get(digest, workflow)])
    return [image, *files]


def _need(bom: Bom, component: Component, needed: object) -> None:
    """Add a component once, with the components that it depends on."""
    dependencies = list(needed)
    for each in [component, *dependencies]:
        if each is not bom.metadata.component:
            bom.components.add(each)
    bom.register_dependency(component, dependencies)


def _model(model: str, weights: dict) -> Component:
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=model,
        version=weights["sha256"][:12],
        bom_ref=f"model:{model}",
        hashes=_sha256(weights["sha256"]),
        properties=_properties(_told(weights, _OF_MODEL)),
    )


def _file(name: str, digest: str, kind: str, told: dict | None = None) -> Component:
    return Component(
        type=ComponentType.FILE,
        name=name,
        bom_ref=f"{kind}:{name}@{digest[:12]}",
        hashes=_sha256(digest),
        properties=_properties({"kind": kind, **(told or {})}),
    )


def _package(name: str, version: str) -> Component:
    url = PackageURL("pypi", name=name, version=version)
    return Component(type=ComponentType.LIBRARY, name=name, version=version, bom_ref=str(url), purl=url)


def _runtime(index: dict, packages: dict[str, Component]) -> Component:
    """Return the runtime that built an engine and runs it: one of the packages, or a separate TensorRT."""
    key = index["engine_key"]
    name, version = key["runtime"], key["runtime_version"]
    package = packages.get(RUNTIMES[name].package)
    if package and package.version == version:
        return package
    url = PackageURL("pypi", name=RUNTIMES[name].package, version=version)
    return Component(
        type=ComponentType.FRAMEWORK,
        name=name,
        version=version,
        bom_ref=f"runtime:{name}@{version}",
        purl=url,
        properties=_properties({"cuda": key["cuda"]} if key.get("cuda") else {}),
    )


def _image(image: str) -> Component:
    """Return a container image. Its package URL has the digest if that is known, else only the tag."""
    named, _, digest = image.partition("@")
    repository, tag = re.fullmatch(r"(.+?)(?::([^:/]+))?", named).groups()
    qualifiers = {"repository_url": repository, **({"tag": tag} if tag else {})}
    url = PackageURL("oci", name=PurePosixPath(repository).name.lower(), version=digest or None, qualifiers=qualifiers)
    return Component(
        type=ComponentType.CONTAINER,
        name=repository,
        version=tag or digest,
        bom_ref=f"image:{image}",
        purl=url,
        hashes=_sha256(digest.removeprefix("sha256:")) if re.fullmatch("sha256:[0-9a-f]{64}", digest) else [],
    )


def _sha256(digest: str) -> list[HashType]:
    return [HashType(alg=HashAlgorithm.SHA_256, content=digest)]


def _told(record: dict, names: tuple[str, ...]) -> dict:
    return {name: record[name] for name in names if record.get(name) not in (None, {})}


def _tensors(index: dict) -> dict[str, list[str]]:
    """Return the inputs and outputs of a repository's model in words."""
    contract = Contract.of(index["contract"])
    return {side: [tensor.in_words() for tensor in getattr(contract, side)] for side in ("inputs", "outputs")}


def _properties(told: dict) -> list[Property]:
    """Return facts as CycloneDX's named properties. Their values are text."""
    return [
        Property(name=f"slipway:{name}", value=value if isinstance(value, str) else json.dumps(value, sort_keys=True))
        for name, value in sorted(told.items())
    ]


def _text(bom: Bom) -> str:
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"
