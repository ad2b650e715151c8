"""The official client of a cluster's API, from a kubeconfig or from inside a pod."""

import os
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

import yaml
from kubernetes import client, config
from kubernetes.config.incluster_config import SERVICE_HOST_ENV_NAME
from kubernetes.config.kube_config import ConfigNode, KubeConfigMerger

from slipway.core.errors import SlipwayError
from slipway.triton.client.hosts import is_loopback

DEFAULT_KUBECONFIG = "~/.kube/config"


def connected(context: str | None) -> tuple[client.ApiClient, str]:
    """Return (client of the cluster's API, name of the context). No request is sent yet.

    `context` is a context of the kubeconfig; None means the current context. Without a kubeconfig, the cluster is the
    cluster of this pod, and the name is "in-cluster". Raises SlipwayError if neither the kubeconfig nor the pod's
    service account can be used.
    """
    settings = client.Configuration()
    named = os.environ.get("KUBECONFIG") or DEFAULT_KUBECONFIG
    files = [path for name in named.split(os.pathsep) if name and (path := Path(name).expanduser()).is_file()]
    if files:
        name = _from_kubeconfig(settings, os.pathsep.join(map(str, files)), context)
    else:
        name = _from_pod(settings, named, context)
    # Use the proxy that the environment names, as kubectl does, but never for this machine itself.
    address, proxies = urlsplit(settings.host), getproxies()
    if not is_loopback(address.hostname or ""):
        settings.proxy, settings.no_proxy = proxies.get(address.scheme), proxies.get("no")
    # `Transport` repeats requests itself.
    settings.retries = False
    return client.ApiClient(settings), name


def _from_kubeconfig(settings: client.Configuration, named: str, context: str | None) -> str:
    try:
        merged = KubeConfigMerger(named).config
        chosen = _chosen(merged, named, context)
        config.load_kube_config(named, chosen["name"], settings, persist_config=False)
        user = chosen["context"].safe_get("user")
    except config.ConfigException as error:
        raise SlipwayError(f"the kubeconfig {named} cannot be used: {error}. Correct it") from None
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        # The library's error may quote the file, which has credentials.
        raise SlipwayError(
            f"the kubeconfig {named} cannot be read ({type(error).__name__}); see what `kubectl config view` says of it"
        ) from None
    if user and settings.host.startswith("https") and not (settings.api_key or settings.cert_file):
        raise SlipwayError(
            f"the user {user} of the context {chosen['name']} in {named} has no credentials: log in to the cluster "
            "again, or see what its credentials plugin says on the lines above"
        )
    return chosen["name"]


def _chosen(merged: ConfigNode | None, named: str, context: str | None) -> ConfigNode:
    """Return the kubeconfig's entry of `context`, or of the current context if `context` is None.

    `merged` is the content of the kubeconfig, and `named` is its path, for messages. Raises SlipwayError with the names
    of all contexts if there is no such context.
    """
    contexts = {entry["name"]: entry for entry in (merged.safe_get("contexts") if merged else None) or []}
    existing = f"it has {', '.join(sorted(contexts))}" if contexts else "it has none"
    chosen = context or (merged.safe_get("current-context") if merged else None)
    if not chosen:
        raise SlipwayError(
            f"the kubeconfig {named} has no current context ({existing}); choose one with "
            "`kubectl config use-context`, or name it in config.yaml"
        )
    if chosen not in contexts:
        raise SlipwayError(f"there is no context {chosen} in the kubeconfig {named}: {existing}")
    return contexts[chosen]


def _from_pod(settings: client.Configuration, named: str, context: str | None) -> str:
    if SERVICE_HOST_ENV_NAME not in os.environ or context:
        raise SlipwayError(
            f"there is no kubeconfig at {named}; fetch one from the cluster's provider, and name it in KUBECONFIG if "
            "it lies elsewhere"
        )
    try:
        config.load_incluster_config(settings)
    except (config.ConfigException, OSError) as error:
        raise SlipwayError(
            f"this pod cannot ask its cluster: {error} The pod needs a service account with its token mounted"
        ) from None
    return "in-cluster"
