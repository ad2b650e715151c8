"""Choose the tritonserver of this machine: a program on PATH, NVIDIA's container, or the wheel nvidia-pytriton.

The chosen server runs the load tests and serves. Planning (Snakemake's parsing of the workflow) makes the choice from
`triton.run`, so that every job uses the same server. The choice is in the keys of the jobs: another choice reruns them.
This module imports neither tritonclient nor a runtime.
"""

import shutil

from slipway.core.errors import SlipwayError
from slipway.core.serving_environment import MAKE_IT, wheel
from slipway.runtimes.traits import RuntimeTraits
from slipway.triton.server import releases
from slipway.triton.server.container_programs import image_here, is_pullable, usable_program
from slipway.triton.server.kinds import CONTAINER, PATH, WHEEL
from slipway.triton.server.on_path import on_path_with
from slipway.triton.server.server_options import ServerChoice, why_other_release

_WAYS_OUT = {
    PATH: "put one there, or set `triton.run` to auto",
    WHEEL: f"{MAKE_IT}, or set `triton.run` to auto",
    CONTAINER: "put that right, or set `triton.run` to auto or wheel",
}


def choose(triton: dict, runtime: RuntimeTraits) -> ServerChoice:
    """Return the tritonserver of this machine for engines of a runtime, such as TensorRT.

    `triton` is the section `triton` of config.yaml. If `triton.run` names a kind of server, return this kind without a
    check. `require_runnable` checks whether such a server can run here. If `triton.run` is auto, return the first
    server that can run: a tritonserver on PATH with the runtime's backend, NVIDIA's container, the wheel's server.
    """
    if triton["run"] == CONTAINER:
        return _container(triton, "`triton.run` says so")
    if triton["run"] == WHEEL:
        return _of_wheel("`triton.run` says so")
    if triton["run"] == PATH:
        return ServerChoice(PATH, why="`triton.run` says so")
    if on_path_with({runtime.backend}):
        return ServerChoice(PATH, why=f"the tritonserver on PATH has the backend {runtime.backend}")
    if (why_not := why_no_container(triton, runtime)) is None:
        return _container(triton, f"no tritonserver on PATH has the backend {runtime.backend}")
    why = f"no tritonserver on PATH has the backend {runtime.backend}, and no container is used: {why_not}"
    return _of_wheel(why) if wheel() or not shutil.which("tritonserver") else ServerChoice(PATH, why=why)


def require_runnable(choice: ServerChoice, triton: dict, runtime: RuntimeTraits) -> None:
    """Raise SlipwayError if `triton.run` of config.yaml names a kind of server that cannot run on this machine.

    `triton` is the section `triton` of config.yaml, and `choice` is the result of `choose`. If `triton.run` is auto,
    nothing is checked.
    """
    if triton["run"] != "auto" and (why := _why_not_runnable(choice, triton, runtime)):
        raise SlipwayError(f"config: `triton.run` is {choice.run}, but {why}; {_WAYS_OUT[choice.run]}")


def why_no_container(triton: dict, runtime: RuntimeTraits) -> str | None:
    """Return in words why no container here can serve engines of a runtime, such as TensorRT; None if one can.

    `triton` is the section `triton` of config.yaml.
    """
    if runtime.native_backend is None:
        return f"NVIDIA's image has no backend for engines of {runtime.title}"
    if (image := image_that_serves(triton)) is None:
        return "neither `triton.release` nor `triton.image` names its image"
    program, why = usable_program()
    if program is None:
        return why
    local_image = image_here(program, image)
    if local_image is None:
        return None if is_pullable(program, image) else f"{program.name} neither has the image {image} nor can pull it"
    return why_other_release(image, local_image.environment, triton["release"])


def image_that_serves(triton: dict) -> str | None:
    """Return the name of the container image that serves; None if config.yaml selects no image.

    `triton` is the section `triton` of config.yaml. Its `image` is the name; without it, NVIDIA's image of its
    `release` is used.
    """
    return triton["image"] or (releases.image_of(triton["release"]) if triton["release"] else None)


def _of_wheel(why: str) -> ServerChoice:
    return ServerChoice(WHEEL, release=releases.release_of_wheel(), why=why)


def _container(triton: dict, why: str) -> ServerChoice:
    return ServerChoice(CONTAINER, image_that_serves(triton), triton["release"], why)


def _why_not_runnable(choice: ServerChoice, triton: dict, runtime: RuntimeTraits) -> str | None:
    if choice.run == CONTAINER:
        return why_no_container(triton, runtime)
    if choice.run == PATH:
        return None if shutil.which("tritonserver") else "there is no tritonserver on PATH"
    return None if wheel() else "nvidia-pytriton is not installed"
