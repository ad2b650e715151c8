"""compose.yaml: Triton, Prometheus and Grafana on one machine with the target's hardware and these results."""

import yaml

from slipway.manifests.common import (
    DRAIN_S,
    DRAWN,
    GRPC,
    HTTP,
    METRICS,
    MODELS,
    USER,
    environment,
    guards,
    triton_command,
)
from slipway.manifests.fleet import Fleet, header
from slipway.manifests.names import annotations
from slipway.manifests.validation import require_valid_composition
from slipway.manifests.yaml_writer import documents

PROMETHEUS, GRAFANA = 9090, 3000
INTERVAL_S = 15
# Paths in the containers of the files that `write_monitoring` writes.
RULES = "/etc/prometheus/slipway-rules.yaml"
PROVISIONING = "/etc/grafana/provisioning"
DASHBOARDS = "/etc/grafana/dashboards"


def files(fleet: Fleet) -> dict[str, str]:
    """Return {file: text} for Compose; raise SlipwayError if Compose would refuse it."""
    made = composition(fleet.here)
    require_valid_composition(made)
    return {"compose.yaml": documents([made], header([fleet.here], "docker compose up --detach"))}


def composition(d: dict) -> dict:
    """Return the composition: the services, their configuration files, and the volumes for their data."""
    return {
        "name": d["name"],
        "services": {"triton": triton(d), "prometheus": prometheus(d), "grafana": grafana(d)},
        "configs": {
            "prometheus": {"content": _scraping(d)},
            "rules": {"file": "./prometheus-rules.yaml"},
            "datasource": {"content": _datasource()},
            "dashboards": {"content": _dashboards()},
            "dashboard": {"file": "./grafana.json"},
        },
        "volumes": {"prometheus-data": {}, "grafana-data": {}},
    }


def triton(d: dict) -> dict:
    """Return the server, with the model repository of these results."""
    ports = {HTTP: d["http_port"], GRPC: d["grpc_port"], METRICS: d["metrics_port"]}
    ready = f"http://localhost:{HTTP}/v2/models/{d['served_as']}/ready"
    return {
        **_confined(),
        "read_only": True,
        "image": d["image"],
        "command": _command(d),
        "environment": environment(d),
        "user": f"{USER}:{USER}",
        "labels": annotations(d),
        "ports": [_published(d, inside, outside) for inside, outside in ports.items()],
        "volumes": [_repository(d)],
        "tmpfs": ["/tmp"],
        "shm_size": f"{d['shm_mib']}m",
        "stop_grace_period": f"{DRAIN_S + 5}s",
        "healthcheck": {
            "test": ["CMD", "curl", "--fail", "--silent", ready],
            "interval": "10s",
            "timeout": "5s",
            "retries": 3,
            "start_period": f"{d['ready_timeout_s']:g}s",
        },
        "deploy": {"resources": _resources(d)},
    }


def prometheus(d: dict) -> dict:
    """Return Prometheus, which stores Triton's metrics for 15 days."""
    return {
        **_confined(),
        "image": d["prometheus_image"],
        "ports": [_published(d, PROMETHEUS, d["prometheus_port"])],
        "configs": [
            {"source": "prometheus", "target": "/etc/prometheus/prometheus.yml"},
            {"source": "rules", "target": RULES},
        ],
        "volumes": [{"type": "volume", "source": "prometheus-data", "target": "/prometheus"}],
        "depends_on": {"triton": {"condition": "service_started"}},
    }


def grafana(d: dict) -> dict:
    """Return Grafana. Everybody who reaches its port may look, and nobody may change anything: there is no password."""
    settings = {
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
        "GF_AUTH_BASIC_ENABLED": "false",
        "GF_AUTH_DISABLE_LOGIN_FORM": "true",
    }
    return {
        **_confined(),
        "image": d["grafana_image"],
        "environment": settings,
        "ports": [_published(d, GRAFANA, d["grafana_port"])],
        "configs": [
            {"source": "datasource", "target": f"{PROVISIONING}/datasources/prometheus.yaml"},
            {"source": "dashboards", "target": f"{PROVISIONING}/dashboards/slipway.yaml"},
            {"source": "dashboard", "target": f"{DASHBOARDS}/slipway.json"},
        ],
        "volumes": [{"type": "volume", "source": "grafana-data", "target": "/var/lib/grafana"}],
        "tmpfs": ["/tmp"],
        "depends_on": {"prometheus": {"condition": "service_started"}},
    }


def _command(d: dict) -> list[str]:
    """Return the container's command: a shell that makes the key of the restricted APIs and then becomes Triton.

    A single dollar sign would make Compose insert its own values.
    """
    script = " ".join(['exec "$0" "$@"', *guards(d, DRAWN)]).replace("$", "$$")
    return ["bash", "-c", script, *triton_command(d)]


def _repository(d: dict) -> dict:
    """Return the mount of these results. Compose must not create the folder if it is missing."""
    place = {"type": "bind", "source": f"../{d['target']}/repository", "target": MODELS, "read_only": True}
    return place | {"bind": {"create_host_path": False}}


def _confined() -> dict:
    """Return the settings that limit a container's rights.

    Compose copies the text of `configs` into a container, so a container that has some cannot be read-only.
    """
    return {
        "cap_drop": ["ALL"],
        "restart": "unless-stopped",
        "security_opt": ["no-new-privileges:true"],
    }


def _published(d: dict, inside: int, outside: int) -> dict:
    return {"host_ip": d["host"], "published": str(outside), "target": inside, "protocol": "tcp"}


def _resources(d: dict) -> dict:
    limits = {"limits": {"cpus": str(d["cpus"]), "memory": f"{d['memory_mib']}M"}}
    if not d["on_gpu"]:
        return limits
    return limits | {"reservations": {"devices": [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]}}


def _scraping(d: dict) -> str:
    """Return Prometheus' configuration: Triton as the target to scrape, and the rule files."""
    triton_of_target = {"targets": [f"triton:{METRICS}"], "labels": {"target": d["target"]}}
    return yaml.safe_dump(
        {
            "global": {"scrape_interval": f"{INTERVAL_S}s", "evaluation_interval": f"{INTERVAL_S}s"},
            "rule_files": [RULES],
            "scrape_configs": [{"job_name": "triton", "static_configs": [triton_of_target]}],
        }
    )


def _dashboards() -> str:
    """Return the folder from which Grafana reads its dashboards."""
    provider = {"name": "slipway", "type": "file", "allowUiUpdates": False, "options": {"path": DASHBOARDS}}
    return yaml.safe_dump({"apiVersion": 1, "providers": [provider]})


def _datasource() -> str:
    """Return the Prometheus server that Grafana queries."""
    source = {
        "name": "Prometheus",
        "type": "prometheus",
        "uid": "prometheus",
        "access": "proxy",
        "url": f"http://prometheus:{PROMETHEUS}",
        "isDefault": True,
        "editable": False,
        "jsonData": {"timeInterval": f"{INTERVAL_S}s"},
    }
    return yaml.safe_dump({"apiVersion": 1, "datasources": [source]})
