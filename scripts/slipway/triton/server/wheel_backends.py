"""The backends for the server in the nvidia-pytriton wheel: the Python backend, and its stub for an interpreter."""

from pathlib import Path

from slipway.core.artifacts import make_folder
from slipway.core.errors import SlipwayError
from slipway.triton.server.interpreter import ask_interpreter, write_stub_launcher
from slipway.triton.server.plain_paths import make_link

# The folder with the backends for the wheel's server, relative to the server's working folder.
BACKENDS = "backends"


def lay_out_backends(package: Path, workspace: Path, python: Path) -> None:
    """Make the folder of backends for the wheel's server: links to its Python backend, and a stub for `python`.

    `package` is the folder of the installed wheel, `workspace` the working folder of the server, and `python` the
    interpreter for the models. A stub is the program that runs a model of the Python backend in a process of its own.
    Raises SlipwayError if the wheel has no stub for the version of `python`, or if `python` does not have NumPy 1.
    """
    interpreter = ask_interpreter(python)
    stub = package / "tritonserver" / "python_backend_stubs" / interpreter.version / "triton_python_backend_stub"
    if not stub.is_file():
        stubs = sorted(folder.name for folder in stub.parents[1].iterdir())
        raise SlipwayError(
            f"nvidia-pytriton has no Python backend for Python {interpreter.version} ({python}); it has "
            f"{', '.join(stubs)}"
        )
    if interpreter.numpy is None or int(interpreter.numpy.split(".")[0]) >= 2:
        # The stub is built for NumPy 1. With NumPy 2, it reports no error, but its outputs are zeros or missing.
        raise SlipwayError(
            f"the Python backend of nvidia-pytriton needs NumPy 1, but {python} has {interpreter.numpy or 'none'}: "
            "install `numpy<2` there"
        )
    folder = workspace / BACKENDS / "python"
    make_folder(folder.parent)
    make_folder(folder)
    for file in (package / "tritonserver" / "backends" / "python").iterdir():
        make_link(folder / file.name, file)
    write_stub_launcher(folder / stub.name, stub, interpreter, workspace)
