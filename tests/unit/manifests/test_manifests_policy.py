"""Every object against the published schemas, and every pod against the policies of a scanner.

The policies are those of Checkov 3.3 for Kubernetes, by their identifiers; Checkov itself does not install beside the
pinned environment. Left out is CKV_K8S_40, a user above 10000: NVIDIA's image makes 1000 for its server.
"""

import copy

import jsonschema
import kubernetes_validate
import pytest
from helpers.artifacts.measured import L4, Measured, cpu_target, gpu_target

from slipway.manifests.validation import OLDEST, SCHEMAS, require_valid_composition, validate

VERSIONS = [OLDEST, "1.33.0", kubernetes_validate.latest_version()]
CASES = {
    "gpu": {},
    "fleet": {"targets": {"h100": gpu_target(), "l4": gpu_target(L4)}, "deploy": {"cluster": {"replicas": 2}}},
    "mig": {"deploy": {"cluster": {"gpu_resources": {"h100": "nvidia.com/mig-1g.10gb"}}}},
    "shared gpu": {"deploy": {"cluster": {"gpu_resources": {"h100": "aliyun.com/gpu-mem"}}}},
    "cpu": {"targets": {"cpu": cpu_target()}, "deploy": {"cluster": {"replicas": 3}}},
    "reached from outside": {"deploy": {"cluster": {"service_type": "NodePort", "image_pull_secrets": ["registry"]}}},
    "a tag": {"triton": {"release": "26.08"}},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return {case: what was written} of every case."""
    with pytest.MonkeyPatch.context() as patch:
        found = {}
        for name, settings in CASES.items():
            folder = tmp_path_factory.mktemp("manifests")
            patch.chdir(folder)
            found[name] = Measured(folder, **copy.deepcopy(settings)).written()
        return found


# Schemas


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["kubernetes.yaml", "kserve.yaml", "arena.yaml"])
@pytest.mark.parametrize("case", CASES)
def test_kubernetes_takes_every_object(written, case, name, version):
    for found in written[case].objects(name):
        validate(found, version)


@pytest.mark.parametrize("case", CASES)
def test_compose_takes_the_file(written, case):
    [composition] = written[case].objects("compose.yaml")
    require_valid_composition(composition)


def all_objects(written):
    names = ("kubernetes.yaml", "kserve.yaml", "arena.yaml")
    return [found for name in names for case in written.values() for found in case.objects(name)]


def test_every_kind_is_among_them(written):
    assert {found["kind"] for found in all_objects(written)} == {
        *("Deployment", "HorizontalPodAutoscaler", "InferenceService", "NetworkPolicy", "PodDisruptionBudget"),
        *("PodMonitor", "PrometheusRule", "Service", "ServiceAccount", "ServingRuntime"),
    }


def test_what_is_not_kubernetes_own_has_a_schema_that_names_its_source():
    for kind in ("PodMonitor", "PrometheusRule", "ServingRuntime", "InferenceService", "Compose"):
        text = (SCHEMAS / f"{kind}.yaml").read_text(encoding="utf-8")
        assert "github.com" in text.split("$schema")[0] or "Python package" in text.split("$schema")[0]


def test_a_field_that_does_not_exist_is_found_in_every_kind(written):
    for found in {found["kind"]: found for found in all_objects(written)}.values():
        place = "spec" if "spec" in found else "metadata"
        broken = {**found, place: {**found[place], "replicaz": 2}}
        with pytest.raises(jsonschema.ValidationError, match="replicaz"):
            validate(broken, VERSIONS[-1])


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", "spec.template.spec.containers.0.ports.0.containerPort", "http"),
        ("Service", "spec.ports.0.port", "eight"),
        ("PodMonitor", "spec.podMetricsEndpoints.0.interval", "15 seconds"),
        ("PrometheusRule", "spec.groups.0.rules.0.for", "5 minutes"),
        ("PrometheusRule", "spec.groups.0.rules.0.alert", "SecondName"),
        ("ServingRuntime", "spec.containers.0.readinessProbe.periodSeconds", "five"),
        ("InferenceService", "spec.predictor.tolerations.0.operatr", "Exists"),
        ("InferenceService", "spec.predictor.model.storageUrl", "pvc://a/b"),
        ("InferenceService", "spec.predictor.affinity.nodeAffinity.required", {}),
    ],
)
def test_a_wrong_value_is_found(written, kind, path, value):
    found = next(copy.deepcopy(each) for each in all_objects({"gpu": written["gpu"]}) if each["kind"] == kind)
    *parents, last = path.split(".")
    place = found
    for key in parents:
        place = place[int(key) if key.isdigit() else key]
    place[last] = value
    with pytest.raises(jsonschema.ValidationError):
        validate(found, VERSIONS[-1])


def test_a_wrong_composition_is_found(written):
    [composition] = written["gpu"].objects("compose.yaml")
    composition["services"]["triton"]["gpu"] = "all"
    with pytest.raises(Exception, match=r"compose.yaml is not what Compose takes: .*gpu"):
        require_valid_composition(composition)


# Policies: (pod, containers) -> whether it is held


def _each(check):
    return lambda pod: all(check(container) for container in pod["containers"])


def _right(container, name):
    return container.get("securityContext", {}).get(name)


def _asks(container, kind, name):
    return name in container.get("resources", {}).get(kind, {})


POLICIES = {
    "CKV_K8S_8 liveness probe": _each(lambda c: "livenessProbe" in c),
    "CKV_K8S_9 readiness probe": _each(lambda c: "readinessProbe" in c),
    "CKV_K8S_10 CPU requests": _each(lambda c: _asks(c, "requests", "cpu")),
    "CKV_K8S_11 CPU limits": _each(lambda c: _asks(c, "limits", "cpu")),
    "CKV_K8S_12 memory requests": _each(lambda c: _asks(c, "requests", "memory")),
    "CKV_K8S_13 memory limits": _each(lambda c: _asks(c, "limits", "memory")),
    "CKV_K8S_14 image tag fixed": _each(lambda c: ":" in c["image"] and not c["image"].endswith(":latest")),
    "CKV_K8S_15 image pulled again unless a digest names it": _each(
        lambda c: c["imagePullPolicy"] == "Always" or "@sha256:" in c["image"]
    ),
    "CKV_K8S_16 not privileged": _each(lambda c: not _right(c, "privileged")),
    "CKV_K8S_17 host's processes hidden": lambda pod: not pod.get("hostPID"),
    "CKV_K8S_18 host's memory hidden": lambda pod: not pod.get("hostIPC"),
    "CKV_K8S_19 host's network hidden": lambda pod: not pod.get("hostNetwork"),
    "CKV_K8S_20 no privilege escalation": _each(lambda c: _right(c, "allowPrivilegeEscalation") is False),
    "CKV_K8S_22 read-only root": _each(lambda c: _right(c, "readOnlyRootFilesystem") is True),
    "CKV_K8S_23 not root": lambda pod: (
        pod["securityContext"].get("runAsNonRoot") is True and pod["securityContext"].get("runAsUser", 0) > 0
    ),
    "CKV_K8S_25 CKV_K8S_28 CKV_K8S_37 capabilities dropped": _each(
        lambda c: _right(c, "capabilities") == {"drop": ["ALL"]}
    ),
    "CKV_K8S_26 no host port": _each(lambda c: not any("hostPort" in port for port in c.get("ports", []))),
    "CKV_K8S_27 nothing of the host mounted": lambda pod: not any("hostPath" in each for each in pod["volumes"]),
    "CKV_K8S_29 CKV_K8S_30 security context": lambda pod: (
        bool(pod["securityContext"]) and all("securityContext" in each for each in pod["containers"])
    ),
    "CKV_K8S_31 seccomp profile": lambda pod: (
        pod["securityContext"].get("seccompProfile") == {"type": "RuntimeDefault"}
    ),
    "CKV_K8S_35 no secret in the environment": _each(
        lambda c: not any("secretKeyRef" in str(each) for each in c.get("env", []))
    ),
    "CKV_K8S_38 no service account token": lambda pod: pod.get("automountServiceAccountToken") is False,
    "what may be written to has a limit": lambda pod: all(
        "sizeLimit" in each["emptyDir"] for each in pod["volumes"] if "emptyDir" in each
    ),
}
# For each policy a change of a good pod that breaks it.
BREACHES = {
    "CKV_K8S_8": lambda pod, container: container.pop("livenessProbe"),
    "CKV_K8S_9": lambda pod, container: container.pop("readinessProbe"),
    "CKV_K8S_10": lambda pod, container: container["resources"]["requests"].pop("cpu"),
    "CKV_K8S_11": lambda pod, container: container["resources"]["limits"].pop("cpu"),
    "CKV_K8S_12": lambda pod, container: container["resources"]["requests"].pop("memory"),
    "CKV_K8S_13": lambda pod, container: container["resources"]["limits"].pop("memory"),
    "CKV_K8S_14": lambda pod, container: container.update(image="a/b:latest"),
    "CKV_K8S_15": lambda pod, container: container.update(image="a/b:1", imagePullPolicy="IfNotPresent"),
    "CKV_K8S_16": lambda pod, container: container["securityContext"].update(privileged=True),
    "CKV_K8S_17": lambda pod, container: pod.update(hostPID=True),
    "CKV_K8S_18": lambda pod, container: pod.update(hostIPC=True),
    "CKV_K8S_19": lambda pod, container: pod.update(hostNetwork=True),
    "CKV_K8S_20": lambda pod, container: container["securityContext"].pop("allowPrivilegeEscalation"),
    "CKV_K8S_22": lambda pod, container: container["securityContext"].update(readOnlyRootFilesystem=False),
    "CKV_K8S_23": lambda pod, container: pod["securityContext"].update(runAsUser=0),
    "CKV_K8S_25": lambda pod, container: container["securityContext"]["capabilities"].update(add=["SYS_ADMIN"]),
    "CKV_K8S_26": lambda pod, container: container["ports"][0].update(hostPort=8000),
    "CKV_K8S_27": lambda pod, container: pod["volumes"].append({"name": "docker", "hostPath": {"path": "/var/run"}}),
    "CKV_K8S_29": lambda pod, container: container.pop("securityContext"),
    "CKV_K8S_31": lambda pod, container: pod["securityContext"].pop("seccompProfile"),
    "CKV_K8S_35": lambda pod, container: container["env"].append({"name": "A", "valueFrom": {"secretKeyRef": {}}}),
    "CKV_K8S_38": lambda pod, container: pod.pop("automountServiceAccountToken"),
    "what": lambda pod, container: pod["volumes"].append({"name": "more", "emptyDir": {}}),
}


def pods(found):
    """Return the pods of kubernetes.yaml, and those that KServe makes of a runtime and a service."""
    made = [
        each["spec"]["template"]["spec"] for each in found.objects("kubernetes.yaml") if each["kind"] == "Deployment"
    ]
    runtimes = [each for each in found.objects("kserve.yaml") if each["kind"] == "ServingRuntime"]
    services = [each for each in found.objects("kserve.yaml") if each["kind"] == "InferenceService"]
    for runtime, service in zip(runtimes, services, strict=True):
        predictor = service["spec"]["predictor"]
        [container] = runtime["spec"]["containers"]
        served = {**container, "resources": predictor["model"]["resources"]}
        made.append({**predictor, "containers": [served], "volumes": runtime["spec"]["volumes"]})
    return made


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("case", CASES)
def test_every_pod_holds_the_policy(written, case, policy):
    assert pods(written[case])
    assert all(POLICIES[policy](pod) for pod in pods(written[case]))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_pod_that_breaks_the_policy_is_found(written, policy):
    pod = copy.deepcopy(pods(written["gpu"])[0])
    BREACHES[policy.split()[0]](pod, pod["containers"][0])
    assert not POLICIES[policy](pod)


@pytest.mark.parametrize("case", CASES)
def test_what_is_beside_the_pods_holds_its_policies(written, case):
    """CKV_K8S_21: no object in the default namespace; CKV2_K8S_6: each pod has a network policy."""
    found = written[case]
    every = [each for name in ("kubernetes.yaml", "kserve.yaml", "arena.yaml") for each in found.objects(name)]
    assert {each["metadata"]["namespace"] for each in every} == {"inference"}
    selected = found.one("kubernetes.yaml", "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    for each in found.objects("kubernetes.yaml"):
        if each["kind"] == "Deployment":
            assert selected.items() <= each["spec"]["template"]["metadata"]["labels"].items()
    account = found.one("kubernetes.yaml", "ServiceAccount")
    assert account["automountServiceAccountToken"] is False


@pytest.mark.parametrize("case", CASES)
def test_the_containers_of_one_machine_keep_to_themselves(written, case):
    for name, service in written[case].objects("compose.yaml")[0]["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "network_mode", "pid", "ipc"} & set(service), name
        assert all(port["host_ip"] == "127.0.0.1" for port in service["ports"]), name
        inline = any(
            "content" in written[case].objects("compose.yaml")[0]["configs"][each["source"]]
            for each in service.get("configs", [])
        )
        assert inline or service["read_only"], name
