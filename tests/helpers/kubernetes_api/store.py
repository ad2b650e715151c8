"""What a stand-in of a Kubernetes API server holds: objects, and who set which field."""

import copy
import json
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

import jsonschema

from helpers.artifacts import measured  # noqa: F401  which keeps Kubernetes' schemas in memory once they were read
from helpers.kubernetes_api.fields import conflicts, drop_value, fields_v1, leaves, put_value
from slipway.manifests.validation import OLDEST, validate

KINDS = {
    "v1": {
        **{kind: (f"{kind.lower()}s", True) for kind in ("Pod", "Service", "ServiceAccount", "Secret", "Event")},
        "ConfigMap": ("configmaps", True),
        "PersistentVolumeClaim": ("persistentvolumeclaims", True),
        "Namespace": ("namespaces", False),
        "Node": ("nodes", False),
    },
    "apps/v1": {"Deployment": ("deployments", True), "ReplicaSet": ("replicasets", True)},
    "policy/v1": {"PodDisruptionBudget": ("poddisruptionbudgets", True)},
    "autoscaling/v2": {"HorizontalPodAutoscaler": ("horizontalpodautoscalers", True)},
    "networking.k8s.io/v1": {"NetworkPolicy": ("networkpolicies", True)},
    "coordination.k8s.io/v1": {"Lease": ("leases", True)},
    "authorization.k8s.io/v1": {"SelfSubjectAccessReview": ("selfsubjectaccessreviews", False)},
    "monitoring.coreos.com/v1": {"PodMonitor": ("podmonitors", True), "PrometheusRule": ("prometheusrules", True)},
    "serving.kserve.io/v1beta1": {"InferenceService": ("inferenceservices", True)},
    "serving.kserve.io/v1alpha1": {"ServingRuntime": ("servingruntimes", True)},
}


# Objects that were found valid: looking at the same ones again would take most of the tests' time.
_valid = set()


class ApiError(Exception):
    """An answer that is a Status of failure, as the API gives it."""

    def __init__(self, code, reason, message, causes=(), headers=None):
        super().__init__(message)
        self.code, self.headers = code, headers or {}
        details = {"details": {"causes": list(causes)}} if causes else {}
        self.status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
            **details,
        }


def now():
    """Return the time as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Store:
    """Objects by kind, namespace and name, and every change of them in its order."""

    objects: dict = field(default_factory=dict)
    version: int = 100
    lock: threading.RLock = field(default_factory=threading.RLock)

    def get(self, kind, namespace, name):
        """Return a copy of an object; raise the API's 404 where there is none."""
        with self.lock:
            if (kind, namespace, name) not in self.objects:
                plural = plural_of(kind)
                raise ApiError(404, "NotFound", f'{plural} "{name}" not found')
            return copy.deepcopy(self.objects[kind, namespace, name])

    def list(self, kind, namespace=None):
        """Return copies of all objects of a kind, in one namespace or in all."""
        with self.lock:
            found = [each for (of, where, _), each in self.objects.items() if of == kind and namespace in (None, where)]
            return copy.deepcopy(found)

    def put(self, found):
        """Store an object as it is; return it with its metadata."""
        with self.lock:
            found = copy.deepcopy(found)
            meta = found["metadata"]
            key = (found["kind"], meta.get("namespace"), meta["name"])
            before = self.objects.get(key)
            meta.setdefault("uid", before["metadata"]["uid"] if before else str(uuid.uuid4()))
            meta.setdefault("creationTimestamp", before["metadata"]["creationTimestamp"] if before else now())
            meta["generation"] = _generation(before, found)
            self.objects[key] = found
            self._number(found)
            return copy.deepcopy(found)

    def remove(self, kind, namespace, name):
        """Remove an object and all that it owns."""
        with self.lock:
            gone = self.get(kind, namespace, name)
            del self.objects[kind, namespace, name]
            for other in list(self.objects.values()):
                owners = [owner["uid"] for owner in other["metadata"].get("ownerReferences", [])]
                meta = other["metadata"]
                if gone["metadata"]["uid"] in owners:
                    self.remove(other["kind"], meta.get("namespace"), meta["name"])

    def _number(self, found):
        """Give an object the next resourceVersion."""
        self.version += 1
        found["metadata"]["resourceVersion"] = str(self.version)

    def apply(self, sent, manager, dry_run, force=False):
        """Apply an object as server-side apply does: validated, merged, each field owned by who set it."""
        require_valid(sent)
        with self.lock:
            meta = sent["metadata"]
            before = self.objects.get((sent["kind"], meta.get("namespace"), meta["name"]))
            merged = copy.deepcopy(before) if before else {"metadata": {}}
            owners = merged["metadata"].pop("owners", {})
            _require_same_selector(before, sent)
            fields = dict(leaves({key: part for key, part in sent.items() if key not in ("apiVersion", "kind")}))
            if not force:
                _require_no_conflict(conflicts(merged, fields, owners, manager, sent["apiVersion"]))
            for path in set(owners.get(manager, ())) - set(fields):
                if not any(path in other for name, other in owners.items() if name != manager):
                    drop_value(merged, path)
            for path, value in fields.items():
                put_value(merged, path, value)
            owners[manager] = list(fields)
            merged |= {"apiVersion": sent["apiVersion"], "kind": sent["kind"]}
            if sent["kind"] == "Service":
                _allot_address(before, merged)
            if sent["kind"] == "Deployment":
                merged["spec"].setdefault("replicas", 1)
            merged["metadata"]["owners"] = owners
            if dry_run:
                merged["metadata"].setdefault("generation", 1)
                return public(merged)
            return public(self.put(merged))


def plural_of(kind):
    """Return a kind's name as messages have it, such as "deployments.apps"."""
    for api_version, kinds in KINDS.items():
        if kind in kinds:
            group = api_version.rpartition("/")[0]
            return kinds[kind][0] + (f".{group}" if group else "")
    raise KeyError(kind)


def public(found):
    """Return an object as the API shows it, with who manages it."""
    found = copy.deepcopy(found)
    owners = found["metadata"].pop("owners", {})
    if owners:
        found["metadata"]["managedFields"] = [
            {
                "manager": name,
                "operation": "Apply",
                "apiVersion": found["apiVersion"],
                "fieldsType": "FieldsV1",
                "fieldsV1": fields_v1(paths),
            }
            for name, paths in owners.items()
        ]
    return found


def require_valid(sent):
    """Raise what the API says of an object that is not what its published schema says.

    A field that is not known and a value of another type are no failure of the object to it, but one of its own.
    """
    text = json.dumps(sent, sort_keys=True)
    if text in _valid:
        return
    try:
        validate(sent, OLDEST)
        _valid.add(text)
    except jsonschema.ValidationError as error:
        field_name = ".".join(str(part) for part in error.absolute_path)
        name = sent["metadata"].get("name", "")
        if error.validator in ("additionalProperties", "type"):
            of = f"{sent['metadata'].get('namespace', '')}/{name}; {sent['apiVersion']}, Kind={sent['kind']}"
            message = f"failed to create typed patch object ({of}): .{field_name}: {error.message}"
            raise ApiError(500, "InternalError", message) from None
        cause = {"reason": "FieldValueInvalid", "message": f"Invalid value: {error.message}", "field": field_name}
        message = f'{sent["kind"]} "{name}" is invalid: {field_name}: {cause["message"]}'
        raise ApiError(422, "Invalid", message, [cause]) from None


def _require_no_conflict(causes):
    if causes:
        told = "; ".join(f"{cause['message']}: {cause['field']}" for cause in causes)
        message = f"Apply failed with {len(causes)} conflict{'s' * (len(causes) > 1)}: {told}"
        raise ApiError(409, "Conflict", message, causes)


def _require_same_selector(before, sent):
    if before and sent["kind"] == "Deployment" and before["spec"]["selector"] != sent["spec"]["selector"]:
        cause = {"reason": "FieldValueInvalid", "message": "field is immutable", "field": "spec.selector"}
        message = f'Deployment.apps "{sent["metadata"]["name"]}" is invalid: spec.selector: field is immutable'
        raise ApiError(422, "Invalid", message, [cause])


def _allot_address(before, service):
    """Give a Service its address, which nobody can take from it again."""
    if before and "clusterIPs" not in service["spec"]:
        cause = {"reason": "FieldValueInvalid", "field": "spec.clusterIPs[0]"}
        cause["message"] = "Invalid value: []string(nil): primary clusterIP can not be unset"
        message = f'Service "{service["metadata"]["name"]}" is invalid: {cause["field"]}: {cause["message"]}'
        raise ApiError(422, "Invalid", message, [cause])
    service["spec"] |= {"clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"]}


def _generation(before, found):
    if before is None:
        return 1
    return before["metadata"]["generation"] + (before.get("spec") != found.get("spec"))
