"""What the controllers, the scheduler and the kubelets of a cluster make of objects, for a stand-in of its API."""

import copy
import hashlib
import json

from helpers.kubernetes_api.store import now

REVISION = "deployment.kubernetes.io/revision"
# What a container waits for, by the behaviour that makes it so.
WAITING = {
    "ImagePullBackOff": 'Back-off pulling image "{image}"',
    "ErrImagePull": 'failed to pull and unpack image "{image}": not found',
    "CrashLoopBackOff": "back-off 10s restarting failed container",
    "CreateContainerConfigError": 'secret "of-nobody" not found',
    "ContainerCreating": "",
}
UNSCHEDULABLE = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
EXCEEDED = 'pods "{name}-7w2fm" is forbidden: exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1'
UNMOUNTABLE = 'MountVolume.SetUp failed for volume "models" : mount failed: exit status 32'
BEHAVIOURS = ("Ready", "Waiting", "Unschedulable", "FailedMount", "FailedCreate", "ProgressDeadlineExceeded", *WAITING)


class Controller:
    """Rolls Deployments out as the behaviour says; a pod template that was ready once becomes ready again.

    "Ready" does at once what a cluster takes minutes for; "Waiting" leaves pods that start until `finish` is called.
    """

    def __init__(self, store):
        self.store = store
        self.behaviour = "Ready"
        self._good = set()

    def reconcile(self, found):
        """Do what follows from an object that was applied."""
        if found["kind"] == "Deployment":
            self._roll_out(found)
        elif found["kind"] == "InferenceService":
            self._serve(found)

    def finish(self):
        """Let every rollout that is not through become ready."""
        self.behaviour = "Ready"
        for found in self.store.list("Deployment"):
            self._roll_out(found)
        for found in self.store.list("InferenceService"):
            self._tell_ready(found)

    def _roll_out(self, deployment):
        store, spec = self.store, deployment["spec"]
        template = spec["template"]
        digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
        behaviour = "Ready" if digest in self._good else self.behaviour
        replica_set = self._replica_set(deployment, digest)
        for pod in self._pods(deployment, replica_set):
            store.remove("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])
        surging = (spec.get("strategy", {}).get("rollingUpdate") or {}).get("maxUnavailable") == 0
        old = self._pods(deployment)
        if behaviour == "Ready" or not surging:
            for pod in old:
                store.remove("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])
            old = []
        wanted = spec.get("replicas", 1)
        for number in range(wanted if behaviour != "FailedCreate" else 0):
            self._start(deployment, replica_set, digest, number, behaviour)
        if behaviour == "Ready":
            self._good.add(digest)
        self._tell_status(deployment, replica_set, wanted, len(old), behaviour)

    def _replica_set(self, deployment, digest):
        """Return the ReplicaSet of a template with the newest revision."""
        meta = deployment["metadata"]
        sets = [each for each in self.store.list("ReplicaSet", meta["namespace"]) if _owned(each, deployment)]
        newest = max([int(each["metadata"]["annotations"][REVISION]) for each in sets], default=0)
        name = f"{meta['name']}-{digest}"
        own = next((each for each in sets if each["metadata"]["name"] == name), None)
        if own is None or int(own["metadata"]["annotations"][REVISION]) < newest:
            newest += 1
        return self.store.put(
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "name": name,
                    "namespace": meta["namespace"],
                    "labels": {**deployment["spec"]["selector"]["matchLabels"], "pod-template-hash": digest},
                    "annotations": {REVISION: str(newest)},
                    "ownerReferences": [_owner(deployment)],
                },
                "spec": {"replicas": deployment["spec"].get("replicas", 1)},
            }
        )

    def _pods(self, deployment, replica_set=None):
        owners = [replica_set] if replica_set else self.store.list("ReplicaSet", deployment["metadata"]["namespace"])
        owners = [each for each in owners if _owned(each, deployment)]
        return [pod for pod in self.store.list("Pod") if any(_owned(pod, owner) for owner in owners)]

    def _start(self, deployment, replica_set, digest, number, behaviour):
        template = copy.deepcopy(deployment["spec"]["template"])
        meta = template["metadata"]
        meta |= {
            "name": f"{replica_set['metadata']['name']}-{number}",
            "namespace": deployment["metadata"]["namespace"],
            "labels": {**meta["labels"], "pod-template-hash": digest},
            "ownerReferences": [_owner(replica_set)],
        }
        if behaviour != "Unschedulable":
            template["spec"]["nodeName"] = "node-1"
        status = _pod_status(template["spec"]["containers"][0], behaviour)
        pod = self.store.put({"apiVersion": "v1", "kind": "Pod", **template, "status": status})
        if behaviour == "FailedMount":
            self._warn(pod, "FailedMount", UNMOUNTABLE)

    def _warn(self, pod, reason, message):
        meta = pod["metadata"]
        involved = {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}
        event = {"apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": reason, "message": message}
        event["metadata"] = {"name": f"{meta['name']}.{reason.lower()}", "namespace": meta["namespace"]}
        self.store.put(event | {"involvedObject": involved, "count": 1, "lastTimestamp": now()})

    def _tell_status(self, deployment, replica_set, wanted, old, behaviour):
        ready = wanted if behaviour == "Ready" else 0
        available = _condition("Available", ready + old >= wanted, "MinimumReplicas")
        progressing = _condition("Progressing", True, "NewReplicaSetAvailable" if ready else "ReplicaSetUpdated")
        if behaviour == "ProgressDeadlineExceeded":
            told = f'ReplicaSet "{deployment["metadata"]["name"]}" has timed out progressing.'
            progressing = _condition("Progressing", False, behaviour, told)
        refused = []
        if behaviour == "FailedCreate":
            told = EXCEEDED.format(name=replica_set["metadata"]["name"])
            refused, wanted = [_condition("ReplicaFailure", True, behaviour, told)], 0
        live = self.store.get("Deployment", deployment["metadata"]["namespace"], deployment["metadata"]["name"])
        live["metadata"].setdefault("annotations", {})[REVISION] = replica_set["metadata"]["annotations"][REVISION]
        live["status"] = {
            "observedGeneration": live["metadata"]["generation"],
            "replicas": wanted + old,
            "updatedReplicas": wanted,
            "readyReplicas": ready + old,
            "availableReplicas": ready + old,
            "unavailableReplicas": wanted - ready,
            "conditions": [available, progressing, *refused],
        }
        self.store.put(live)

    def _serve(self, service):
        """Make of an InferenceService the Deployment that KServe makes of it."""
        meta, predictor = service["metadata"], service["spec"]["predictor"]
        labels = {"app": f"isvc.{meta['name']}-predictor", "serving.kserve.io/inferenceservice": meta["name"]}
        container = {"name": "kserve-container", "image": "triton", "resources": predictor["model"].get("resources")}
        spec = {
            "replicas": predictor.get("minReplicas", 1),
            "selector": {"matchLabels": {"app": labels["app"]}},
            "strategy": predictor.get("deploymentStrategy", {}),
            "template": {
                "metadata": {"labels": labels, "annotations": copy.deepcopy(meta["annotations"])},
                "spec": {"containers": [container]},
            },
        }
        made = {"name": f"{meta['name']}-predictor", "namespace": meta["namespace"], "labels": labels}
        made["ownerReferences"] = [_owner(service)]
        deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": made, "spec": spec}
        self._roll_out(self.store.put(deployment))
        self._tell_ready(service)

    def _tell_ready(self, service):
        meta = service["metadata"]
        live = self.store.get("InferenceService", meta["namespace"], meta["name"])
        made = self.store.get("Deployment", meta["namespace"], f"{meta['name']}-predictor")
        ready = made["status"]["readyReplicas"] > 0
        told = "" if ready else "Predictor is not ready"
        live["status"] = {
            "observedGeneration": live["metadata"]["generation"],
            "conditions": [_condition("Ready", ready, "" if ready else "PredictorNotReady", told)],
        }
        self.store.put(live)


def _pod_status(container, behaviour):
    scheduled = behaviour != "Unschedulable"
    ready = behaviour == "Ready"
    told = ("", "") if scheduled else ("Unschedulable", UNSCHEDULABLE)
    conditions = [_condition("PodScheduled", scheduled, *told), _condition("Ready", ready, "")]
    status = {"phase": "Running" if ready else "Pending", "conditions": conditions}
    if not scheduled:
        return status
    reason = behaviour if behaviour in WAITING else "ContainerCreating"
    message = WAITING[reason].format(image=container["image"])
    state = {"running": {"startedAt": now()}} if ready else {"waiting": {"reason": reason, "message": message}}
    crashed = behaviour == "CrashLoopBackOff"
    last = {"terminated": {"exitCode": 1, "reason": "Error"}} if crashed else {}
    of_container = {"name": container["name"], "ready": ready, "restartCount": 3 * crashed, "state": state}
    return status | {"containerStatuses": [of_container | {"lastState": last}]}


def _condition(kind, holds, reason, message=""):
    return {
        "type": kind,
        "status": str(holds),
        "reason": reason,
        "message": message,
        "lastTransitionTime": now(),
    }


def _owner(found):
    return {
        "apiVersion": found["apiVersion"],
        "kind": found["kind"],
        "name": found["metadata"]["name"],
        "uid": found["metadata"]["uid"],
        "controller": True,
    }


def _owned(found, owner):
    owners = found["metadata"].get("ownerReferences", [])
    return any(each["uid"] == owner["metadata"]["uid"] for each in owners)
