"""Restricted APIs of a server: only holders of a key may load models, register shared memory, trace, or set logging.

Triton accepts such requests only with a header that has the key. The key is in the command line of the server, which
other users of this machine can see (`ps`) unless /proc is mounted with hidepid. The key is in no file, log or message:
the local server gets a new key at each start, and Slipway reads it in the server's command line.
"""

import secrets
import subprocess
from collections.abc import Mapping
from functools import cache

import psutil

from slipway.triton.client.hosts import is_loopback

# Triton's names of the APIs that need the key.
GUARDED = ("logging", "model-repository", "trace")
# The API for shared memory needs no key only on a server that no other machine can reach, and only if config.yaml
# allows it: Triton 2.51 registers any region of the server's user, even a region of the server itself.
SHARED_MEMORY = "shared-memory"
# The name of the header that shared memory needs if it is off. No client can send this header, though `ps` shows its
# value: gRPC's server refuses a name with a space, and in HTTP/1 a name ends at the colon. Triton's refusals end with
# this text.
NO_SHARED_MEMORY = "shared memory: off"
HEADER = "slipway-key"
GRPC_HEADER = f"triton-grpc-protocol-{HEADER}"
# The first Triton release that can restrict APIs of both gRPC and HTTP.
FIRST_RELEASE = "23.11"
# Triton's answer to a request without the key.
REFUSAL = "This protocol is restricted"
_GRPC_FLAG, _HTTP_FLAG = "--grpc-restricted-protocol", "--http-restricted-api"
HELP_S = 20


def flags(key: str, apis: tuple[str, ...] = (*GUARDED, SHARED_MEMORY), header: str = HEADER) -> list[str]:
    """Return tritonserver's flags with which it accepts requests to the APIs in `apis` only with a secret header.

    `header` is the name of the HTTP or gRPC header, and `key` is its value.
    """
    guarded = f"{','.join(sorted(apis))}:{header}={key}"
    return [f"{_GRPC_FLAG}={guarded}", f"{_HTTP_FLAG}={guarded}"]


def local_flags(key: str, host: str, shared_memory: bool) -> list[str]:
    """Return the flags with which a server at the address `host` accepts some requests only with `key`.

    These are requests to load models, to trace and to set logging. Without `shared_memory`, the API for shared memory
    is closed to all. With it, the API needs no key if only this machine can reach `host`.
    """
    if not shared_memory:
        return flags(key, GUARDED) + flags(new_key(), (SHARED_MEMORY,), NO_SHARED_MEMORY)
    return flags(key, GUARDED if is_loopback(host) else (*GUARDED, SHARED_MEMORY))


@cache
def can_guard(program: str) -> bool:
    """Say whether the tritonserver `program` can require a key for some of its APIs, such as loading models.

    Releases before FIRST_RELEASE cannot.
    """
    try:
        usage = subprocess.run([program, "--help"], capture_output=True, timeout=HELP_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return _HTTP_FLAG.encode() in usage.stdout + usage.stderr


def new_key() -> str:
    """Return a new random key of 32 hexadecimal digits."""
    return secrets.token_hex(16)


def header(pid: int) -> Mapping[str, str]:
    """Return {name of the gRPC header: key} for requests to the server with the process id `pid`; {} without a key."""
    key = key_of(pid)
    return {GRPC_HEADER: key} if key else {}


def key_of(pid: int) -> str | None:
    """Return the key in the command line of the server `pid`; None if it has no key or cannot be read."""
    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:
        return None
    flags = [word for word in words if word.startswith((f"{_HTTP_FLAG}=", f"{_GRPC_FLAG}="))]
    return flags[0].rpartition(f":{HEADER}=")[2] if flags else None
