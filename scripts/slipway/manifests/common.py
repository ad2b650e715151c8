"""The values that all manifests share, for one model on one target (a kind of GPU or CPU that config.yaml names).

The values are gathered once, each with its source: a record of the build or a key of config.yaml. `d` in the functions
is TargetValues, these values by name without their sources. The functions that make manifests take and return plain
dicts, so the same inputs give the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path

from slipway.core.templates import document, yaml_documents
from slipway.load_test.limits import configuration_in_words
from slipway.manifests import names, pod_resources, replicas
from slipway.manifests.deployment_facts import CONFIG, DeploymentFacts, TargetValues, Value, plain
from slipway.manifests.pod_ports import GRPC, HTTP, METRICS
from slipway.triton.repository.versions import repository_path, version_of
from slipway.triton.server import releases, restricted_apis
from slipway.triton.server.environment import ALLOCATION
from slipway.triton.server.installation import LOAD_COMPATIBLE, METRICS_FLAGS
from slipway.triton.server.kinds import why_another

WARNINGS, METADATA = (Path(__file__).with_name(name) for name in ("warnings.txt.j2", "metadata.yaml.j2"))
# The folder of the models in Triton's container, and the same folder in KServe's container.
MODELS, KSERVE_MODELS = "/models", "/mnt/models"
# Keys of Triton's restricted APIs (model control, shared memory, trace, log). No client gets a key. In Kubernetes the
# key is the pod's UID, which replaces the variable POD_UID. Elsewhere the shell makes a random key when it starts the
# server. Users who may read the pods of a namespace can read the UID.
POD_UID = "$(POD_UID)"
DRAWN = "$(cat /proc/sys/kernel/random/uuid)"
# Seconds for Triton to drain after SIGTERM.
DRAIN_S = 30
# The user of the server in NVIDIA's image.
USER = 1000


def deployment(model: str, facts: DeploymentFacts, chosen: dict, fleet: Sequence[DeploymentFacts]) -> dict[str, Value]:
    """Return all values that manifests may need for a model on one target, {name: Value with its source}.

    `facts` are the records of the target, and `fleet` those of all targets of the model. `chosen` has settings of
    config.yaml: "cluster", "compose", "rate", "headroom", "ready_timeout_s" and the address and ports of a server on
    this machine, all of `deploy`; "image", "oldest" and "triton_release" of `triton`; and "default_release", the Triton
    release to use if none is named. Raises SlipwayError if the target cannot be deployed with these settings.
    """
    key, target = f"models.{model}", facts.target
    suffix = [names.REHEARSAL] if facts.is_rehearsal else []
    values = {
        "model": Value(model, CONFIG, key),
        "target": Value(target, CONFIG, f"targets.{target}"),
        "app": Value(names.label(model, *suffix), CONFIG, key, "as a DNS label"),
        "name": Value(names.label(model, target, *suffix), CONFIG, key, "with the target's, as a DNS label"),
        **_of_artifacts(facts),
        **_image(chosen),
        **_of_config(chosen),
        **pod_resources.of_pod(facts, chosen["cluster"]),
        **replicas.sized(facts, fleet, chosen),
    }
    # A new version of the repository never replaces an older one in the claim.
    path = repository_path(*(values[name].value for name in ("claim_path", "model", "target", "version")))
    values["repository_path"] = Value(path, CONFIG, "deploy.cluster.claim_path", "with model, target and version")
    risks = warnings(facts, plain(values))
    return values | {"warnings": Value(risks, facts.index.path, "version_lock", "and other reasons against it")}


def warnings(facts: DeploymentFacts, d: TargetValues) -> list[str]:
    """Return the risks of a deployment as sentences for the user, such as another Triton than the tested one.

    A risk does not prevent the deployment. `facts` are the records of the target, and `d` are its values in the
    manifests.
    """
    tested, resource = facts.load_test.content["server"], d.get("gpu_resource", pod_resources.WHOLE_GPU)
    lock, another = facts.index.content["version_lock"] or {}, why_another(tested, d["image"], d["triton_release"])
    is_part = resource != pod_resources.WHOLE_GPU and " MIG " not in d["hardware"]
    whole = pod_resources.product(d["hardware"]) if is_part else None
    compared = {"tested": tested, "lock": lock, "another": another, "resource": resource, "whole": whole}
    return document(WARNINGS, {"d": d, "can_guard": _can_guard(d), "FLOOR": releases.FLOOR, **compared}).splitlines()


def _can_guard(d: TargetValues) -> bool:
    """Say whether the Triton release of a target can restrict its APIs. An unknown release counts as new enough.

    `d` has the target's values in the manifests.
    """
    return d["triton_release"] is None or d["triton_release"] >= restricted_apis.FIRST_RELEASE


def guards(d: TargetValues, key: str) -> list[str]:
    """Return the flags of Triton that restrict its APIs to holders of `key`; [] if the release cannot restrict APIs.

    `d` has the target's values in the manifests. The APIs are model control, shared memory, trace and log.
    """
    return restricted_apis.flags(key) if _can_guard(d) else []


def triton_flags(d: TargetValues, drain_s: int = DRAIN_S) -> list[str]:
    """Return Triton's flags for a target, without the flags of ports, folders and restricted APIs.

    `d` has the target's values in the manifests. `drain_s` is the time in which Triton answers waiting requests after
    SIGTERM, in seconds.
    """
    return [
        "--disable-auto-complete-config",
        "--strict-readiness=true",
        f"--exit-timeout-secs={drain_s}",
        *METRICS_FLAGS,
        *([LOAD_COMPATIBLE] if d["load_compatible"] else []),
    ]


def triton_command(
    d: TargetValues, http: int = HTTP, grpc: int = GRPC, models: str = MODELS, drain_s: int = DRAIN_S
) -> list[str]:
    """Return the words of the command line that starts Triton, without the flags of the restricted APIs.

    `d` has the target's values in the manifests. `http` and `grpc` are ports, `models` is the model repository in the
    container, and `drain_s` the time to answer waiting requests after SIGTERM, in seconds.
    """
    ports = [f"--http-port={http}", f"--grpc-port={grpc}", f"--metrics-port={METRICS}", "--allow-metrics=true"]
    return ["tritonserver", *ports, f"--model-repository={models}", *triton_flags(d, drain_s)]


def metadata(d: TargetValues) -> dict:
    """Return the metadata of a target's Kubernetes objects: names, labels, selectors and annotations.

    `d` has the target's values in the manifests. "of_target" is the metadata of the target's objects, "of_model" the
    metadata of objects that all targets share. "selector_of_target" and "selector_of_model" are the labels that select
    their pods. "provenance" has the annotations on the origin of the artifacts, and "annotations" has these and the
    warnings.
    """
    values = {"configuration": configuration_in_words(d), "REHEARSAL": names.REHEARSAL}
    [parts] = yaml_documents(METADATA, d=d, **values)
    return parts


def environment(d: TargetValues) -> dict[str, str]:
    """Return the environment of the server in a container, {variable: value}.

    glibc allocates memory as in the load test. `d` has the target's values in the manifests. On a CPU target, the
    node's GPUs are hidden from the container, because NVIDIA's image would use these GPUs.
    """
    return {"HOME": "/tmp", **ALLOCATION} | ({} if d["on_gpu"] else {"NVIDIA_VISIBLE_DEVICES": "void"})


def pull_policy(d: TargetValues) -> str:
    """Return when a node pulls the image of a target: "IfNotPresent" or "Always". `d` has the target's values.

    "IfNotPresent" is for an image with a digest, which never changes; "Always" is for a tag, which may change.
    """
    return "IfNotPresent" if "@sha256:" in d["image"] else "Always"


def _of_artifacts(facts: DeploymentFacts) -> dict[str, Value]:
    index, selection = facts.index, facts.selection
    of_key = ("runtime", "runtime_version", "precision", "hardware")
    compatibility = facts.key.get("builder", {}).get("compatibility")
    return {
        **{name: index.value("engine_key", name) for name in of_key},
        "load_compatible": Value(
            compatibility == "version", index.path, "engine_key.builder.compatibility", "whether it is `version`"
        ),
        "served_as": index.value("name"),
        "is_rehearsal": Value(facts.is_rehearsal, index.path, "origin", "whether it is `rehearsal`"),
        "version": Value(version_of(index.sha256), index.path, "", "the beginning of its SHA-256"),
        **{name: selection.value(name) for name in ("max_batch_size", "instances")},
        "weights_sha256": index.value("chain", "weights_sha256"),
        "index_sha256": index.digest(),
        "selection_sha256": selection.digest(),
        "load_test_sha256": facts.load_test.digest(),
    }


def _image(chosen: dict) -> dict[str, Value]:
    """Return {"image", "triton_release", "release_is_named"} as Values: the container image and its Triton release.

    `chosen` has "triton_release", "image", "default_release" and "oldest" (see `deployment`). The release is that of
    config.yaml, or else the default; it is None if config.yaml names only an image. "release_is_named" says whether
    config.yaml names a release or an image.
    """
    named, image = chosen["triton_release"], chosen["image"]
    release = named or chosen["default_release"]
    releases.require_supported(release, image, chosen["oldest"])
    source = (CONFIG, "triton.release") if named or image else (releases.TABLE.name, "releases[-1].triton")
    of_release = Value(releases.image_of(release or ""), *source, "NVIDIA's image of it")
    return {
        "image": Value(image, CONFIG, "triton.image") if image else of_release,
        "triton_release": Value(release, *source),
        "release_is_named": Value(bool(named or image), *source, "whether it or an image is named there"),
    }


def _of_config(chosen: dict) -> dict[str, Value]:
    """Return the settings of config.yaml that manifests need, {name: Value}: `deploy.cluster`, `deploy.compose`, ports.

    `chosen` has the settings that `deployment` describes.
    """
    here = ("host", "http_port", "grpc_port", "metrics_port", "ready_timeout_s")
    return {
        **{name: Value(setting, CONFIG, f"deploy.cluster.{name}") for name, setting in chosen["cluster"].items()},
        **{name: Value(chosen[name], CONFIG, f"deploy.{name}") for name in here},
        **{name: Value(setting, CONFIG, f"deploy.compose.{name}") for name, setting in chosen["compose"].items()},
    }
