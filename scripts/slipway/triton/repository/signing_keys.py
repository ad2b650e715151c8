"""The keys for signing repositories: check that they are usable, and identify them without storing a private key.

A private key is read by the job that signs. Planning reads it to check its form and to hash its public half. Slipway
stores neither the key nor its SHA-256, only the SHA-256 of the public half.
"""

import hashlib
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

from slipway.core.errors import SlipwayError

PASSWORD = "SLIPWAY_SIGNING_PASSWORD"
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_HOW = "make one with: openssl ecparam -name prime256v1 -genkey -noout"


def require_private_key(path: Path) -> tuple[EllipticCurvePrivateKey, bytes | None]:
    """Return (private key in the file `path`, its password or None). Raise SlipwayError if the key cannot sign.

    The environment variable SLIPWAY_SIGNING_PASSWORD has the password of an encrypted key.
    """
    pem = _read(path, "private")
    password = os.environ.get(PASSWORD, "").encode() if b"ENCRYPTED" in pem else None
    if password == b"":
        raise SlipwayError(f"the private key {path} is encrypted; set its password as {PASSWORD} in the environment")
    wrong = f"{PASSWORD} is not its password, or it is broken" if password else "it is broken, or a public key"
    load = partial(serialization.load_pem_private_key, pem, password)
    return _loaded(path, load, EllipticCurvePrivateKey, f"a private key in PEM: {wrong}; {_HOW}"), password


def require_private_pem(path: Path) -> None:
    """Raise SlipwayError if the file `path` can be read, but has no private key in PEM. This needs no password.

    A missing file is no error, since another machine may be the one that signs.
    """
    try:
        content = path.read_bytes()
    except OSError:  # the job that signs names the reason
        return
    if b"PRIVATE KEY-----" not in content:
        raise SlipwayError(f"{path} has no private key in PEM; {_HOW}")


def require_public_key(path: Path) -> EllipticCurvePublicKey:
    """Return the public key in the file `path`. Raise SlipwayError if it cannot verify signatures."""
    load = partial(serialization.load_pem_public_key, _read(path, "public"))
    wrong = "it is broken, or a private key; make it with: openssl ec -pubout"
    return _loaded(path, load, EllipticCurvePublicKey, f"a public key in PEM: {wrong}")


def signer(private_key: str, signature: Path, remember: Callable[[str, str, Callable], str]) -> str | None:
    """Identify who signs a repository, so that a new key makes the old signature stale.

    Returns the SHA-256 of the public half of the private key in the file `private_key`. If this key cannot be read, the
    result is the SHA-256 of the public key in the file `signature`, or None if that file has none. remember(name, path,
    function) returns function(path) from a cache, and calls the function only if the file changed.
    """
    try:
        return remember("public half of", private_key, public_sha256)
    except (SlipwayError, OSError):
        return signer_of(signature)


def public_sha256(private_key: Path) -> str:
    """Return the SHA-256 of a private key's public half in PEM; raise SlipwayError if the key cannot sign."""
    key, _ = require_private_key(private_key)
    return sha256_of(key.public_key())


def sha256_of(key: EllipticCurvePublicKey) -> str:
    """Return the SHA-256 of a public key in PEM, by which a signature file names its key."""
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def signer_of(signature: Path) -> str | None:
    """Return the SHA-256 of the public key in a signature file; None if the file does not exist or has no key."""
    try:
        return json.loads(signature.read_text(encoding="utf-8"))["verificationMaterial"]["publicKey"]["hint"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _loaded(path: Path, load: Callable[[], Any], kind: type[Any], described: str) -> Any:
    try:
        key = load()
    except Exception:  # its message might quote the key
        raise SlipwayError(f"{path} cannot be read as {described}") from None
    if not isinstance(key, kind) or key.curve.name not in _CURVES:
        raise SlipwayError(f"{path} is no key of the curves {', '.join(_CURVES)}, but signatures need one; {_HOW}")
    return key


def _read(path: Path, half: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SlipwayError(
            f"the {half} key {path} cannot be read ({error.strerror}); correct `deploy.signing.{half}_key` in "
            "config.yaml"
        ) from None
