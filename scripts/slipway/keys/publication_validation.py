"""Refuse storage and keys of signatures that cannot be used, before any job runs. Nothing is asked over the network.

The storage is where model repositories are published for a cluster. The keys sign the repositories.
"""

from pathlib import Path

from slipway.core.errors import SlipwayError, amended
from slipway.storage.addresses import is_address, local_path


def require_storage_and_keys(deploy: dict) -> None:
    """Raise SlipwayError if `deploy.publish.to` is no usable address, or a file in `deploy.signing` is no usable key.

    `deploy` is that section of config.yaml. If both keys are set, they must belong together.
    """
    to, keys = deploy["publish"]["to"], deploy["signing"]
    if to is not None and is_address(to):
        _require_protocol(to)
    if keys["public_key"] is not None:
        from slipway.triton.repository.signing_keys import require_public_key

        with amended("config: `deploy.signing.public_key`: "):
            require_public_key(Path(keys["public_key"]))
    if keys["private_key"] is not None:
        from slipway.triton.repository.signing_keys import require_private_pem

        with amended("config: `deploy.signing.private_key`: "):
            require_private_pem(Path(keys["private_key"]))
    if None not in keys.values():
        _require_pair(Path(keys["private_key"]), Path(keys["public_key"]))


def require_folder(to: str | None) -> None:
    """Raise SlipwayError if `to`, the setting `deploy.publish.to`, is a folder that does not exist.

    Call this function if the run publishes. An address of storage, or None, is not checked.
    """
    if to is not None and not is_address(to) and not Path(local_path(to)).is_dir():
        raise SlipwayError(
            f"config: `deploy.publish.to` is {to!r}, but this folder does not exist; mount the claim there, make the "
            "folder, or name storage such as s3://bucket/prefix"
        )


def _require_protocol(to: str) -> None:
    from fsspec.registry import known_implementations, registry

    protocol = to.partition("://")[0]
    if protocol == "memory":
        raise SlipwayError(
            f"config: `deploy.publish.to` is {to!r}, but memory:// ends with the job that publishes; name a folder, or "
            "storage such as s3://bucket/prefix"
        )
    if protocol not in {*known_implementations, *registry}:
        raise SlipwayError(
            f"config: `deploy.publish.to` is {to!r}, but no storage is known by {protocol}://; name a folder, or an "
            "address of fsspec's such as s3://bucket/prefix"
        )


def _require_pair(private: Path, public: Path) -> None:
    """Raise SlipwayError if the public key does not belong to the private key, so that no signature would be valid.

    If the private key cannot be read, such as an encrypted key without its password, nothing is raised. The job that
    signs then reports the reason.
    """
    from slipway.triton.repository.signing_keys import public_sha256, require_public_key, sha256_of

    try:
        signs_for = public_sha256(private)
    except SlipwayError:
        return
    if signs_for != sha256_of(require_public_key(public)):
        raise SlipwayError(
            f"config: `deploy.signing.public_key` is {str(public)!r}, which is not the public half of "
            f"`deploy.signing.private_key`, {str(private)!r}, so no signature would be valid; make it with: "
            f"openssl ec -in {private} -pubout"
        )
