"""The kinds of tritonserver on a machine, and phrases about the server that a load test used."""

PATH, WHEEL, CONTAINER = "path", "wheel", "container"


def server_in_words(server: dict) -> str:
    """Return a phrase with the release, the kind and the backends of the server that a load test used.

    `server` is the load test's record of it, as `Installation.facts` returns it. In records of earlier versions of
    Slipway, which lack "run" and "release", the kind follows from the backends.
    """
    release = f"Triton {server['release']}" if server.get("release") else "a Triton whose release is not known"
    backends = "its own backends" if server["native_backends"] else "its Python backend"
    run = server.get("run", PATH if server["native_backends"] else WHEEL)
    places = {PATH: "on PATH", WHEEL: "of nvidia-pytriton", CONTAINER: f"in a container of {server.get('image')}"}
    return f"{release} {places[run]}, with {backends}"


def why_another(server: dict, image: str | None, release: str | None) -> str | None:
    """Return a phrase if the load test used another server than the one that will serve; None otherwise.

    `server` is the load test's server, as `Installation.facts` returns it. `image` is the container image that will
    serve on a cluster; with None, nothing is compared. `release` is the Triton release in the image, None if it is not
    stated.
    """
    if image is None:
        return None
    of_image = server.get("run") == CONTAINER and server.get("image") == image
    same_release = server.get("run") == PATH and server["native_backends"] and server.get("release") == release
    if of_image or (same_release and release):
        return None
    return f"measured with {server_in_words(server)}; {image}, which serves elsewhere, was not measured"
