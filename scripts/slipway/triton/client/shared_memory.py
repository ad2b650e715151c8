"""System shared memory, by which a program gives inputs to a server of the same machine without the network.

Python's module multiprocessing.shared_memory makes the region. The module of tritonclient 2.51 for shared memory is not
used: it needs pkg_resources, which setuptools no longer has.
"""

import contextlib
import socket
from multiprocessing.shared_memory import SharedMemory

import numpy as np
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException

from slipway.core.errors import SlipwayError
from slipway.triton.client.connection import Connection, RequestFailed, Restricted

UNREGISTER_S = 5.0


class SharedBatch:
    """Context manager: a region of shared memory in which the server of `connection` reads the inputs of requests.

    The region has `byte_size` bytes, and holds one batch at a time. It is removed at the end of the block. Raises
    SlipwayError if the server runs on another machine, or does not accept the region.
    """

    def __init__(self, connection: Connection, byte_size: int) -> None:
        host = connection.endpoint.host
        if not is_this_machine(host):
            raise SlipwayError(f"{host} is not this machine, so it shares no memory with it; leave --shared-memory out")
        self._connection = connection
        self._byte_size = byte_size

    def __enter__(self) -> "SharedBatch":
        try:
            self._memory = SharedMemory(create=True, size=self._byte_size)
        except OSError as error:
            raise SlipwayError(
                f"{self._byte_size} bytes of shared memory cannot be allocated ({error.strerror}); leave "
                "--shared-memory out"
            ) from None
        try:
            self._connection.call(self.register)
        except BaseException as error:
            self.__exit__()
            if not isinstance(error, RequestFailed):
                raise
            if isinstance(error, Restricted):
                raise SlipwayError(
                    f"{self._connection.endpoint} shares no memory with its clients: that takes `deploy.shared_memory` "
                    "on a server that this machine alone reaches; leave --shared-memory out"
                ) from None
            raise SlipwayError(
                f"{error}. It does not see this machine's /dev/shm: it runs in a container (give it --ipc=host), "
                "behind a tunnel or as another user; leave --shared-memory out"
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        # If the server has ended, the region need not be unregistered.
        with contextlib.suppress(InferenceServerException):
            self._connection.client.unregister_system_shared_memory(self._memory.name, client_timeout=UNREGISTER_S)
        self._memory.close()
        self._memory.unlink()

    def register(self, client_timeout: float) -> None:
        """Register the region with the server. An older registration of the same name is replaced.

        `client_timeout` is in seconds.
        """
        client, name = self._connection.client, self._memory.name
        client.unregister_system_shared_memory(name, client_timeout=client_timeout)
        client.register_system_shared_memory(name, f"/{name}", self._byte_size, client_timeout=client_timeout)

    def fill(self, tensor: grpc.InferInput, array: np.ndarray) -> None:
        """Copy an array into the region. Then `tensor`, an input of a request, has the region as its data."""
        np.ndarray(array.shape, array.dtype, self._memory.buf)[:] = array
        tensor.set_shared_memory(self._memory.name, array.nbytes)


def is_this_machine(host: str) -> bool:
    """Say whether a host name or address belongs to this machine. For this, a socket is bound to the address."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.bind(address)
    except OSError:
        return False
    return True
