"""Find a model on a Triton server."""

from collections.abc import Sequence

from tritonclient.grpc import service_pb2

from slipway.core.errors import SlipwayError
from slipway.triton.client.connection import Connection, Restricted


def find_model(connection: Connection, model: str | None, version: str) -> str:
    """Return the given model or the only one; SlipwayError with the names of the server's, unless it is ready."""
    if model and connection.call(connection.client.is_model_ready, model, version):
        return model
    try:
        index = connection.call(connection.client.get_model_repository_index).models
    except Restricted:
        why = f"model {model} is not ready" if model else "name the model with --model"
        raise SlipwayError(f"{why}: {connection.endpoint} keeps to itself which models it has") from None
    ready = sorted({entry.name for entry in index if entry.state == "READY"})
    if model is None and len(ready) == 1:
        return ready[0]
    raise SlipwayError(why_no_model(index, model, version) + f" on {connection.endpoint}")


def why_no_model(
    index: Sequence[service_pb2.RepositoryIndexResponse.ModelIndex], model: str | None, version: str
) -> str:
    """Return as a sentence why a server with this repository index does not have the model."""
    ready = sorted({entry.name for entry in index if entry.state == "READY"})
    ready_models = f"ready are {', '.join(ready)}" if ready else "no model is ready"
    if model is None:
        return f"name the model with --model: {ready_models}"
    own = [entry for entry in index if entry.name == model]
    versions = [entry.version for entry in own if entry.state == "READY"]
    if versions and version:
        return f"model {model} has no version {version} that is ready, but {', '.join(versions)}"
    if not own:
        return f"there is no model {model}: {ready_models}"
    reasons = "; ".join(dict.fromkeys(entry.reason for entry in own if entry.reason))
    return f"model {model} is not ready{f' ({reasons})' if reasons else ''}: {ready_models}"
