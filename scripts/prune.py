"""Show files that Slipway made and no configuration refers to, with their size. With --remove, remove these files."""

import argparse
from pathlib import Path

from slipway.core.cli import parser, progress, run
from slipway.deploy.local.installation import lock
from slipway.pruning.leftovers import RESULTS, Leftovers, folders_of, remove_all, size_mb
from slipway.pruning.references import References, other_configurations


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--models", nargs="+", required=True, help="models of the configuration")
    arguments.add_argument("--targets", nargs="+", required=True, help="its targets")
    arguments.add_argument("--engines", nargs="*", default=[], help="its engines, as MODEL/TARGET/PRECISION")
    arguments.add_argument("--variants", nargs="*", default=[], help="its ONNX files, as MODEL/VARIANT")
    arguments.add_argument("--weights", nargs="*", default=[], help="its models' weights: paths, names or addresses")
    arguments.add_argument("--programs", nargs="*", default=[], help="its models that are programs, not weights")
    arguments.add_argument("--configurations", type=Path, nargs="*", default=[], help="its files")
    arguments.add_argument(
        "--remove", choices=["no", "yes", "all"], default="no", help="all: records of measurements, too"
    )
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Find the leftover files, show these files, and remove them with --remove."""
    names = ("models", "targets", "engines", "variants", "weights", "programs")
    references = References(**{name: frozenset(getattr(arguments, name)) for name in names})
    own = {path.resolve() for path in arguments.configurations}
    others = list(other_configurations(Path(), own))
    with lock(RESULTS / ".server"):
        leftovers = Leftovers(references, others, measurements=arguments.remove == "all")
        whole_mb = show(leftovers)
        if arguments.remove != "no":
            remove_all(leftovers)
    if not whole_mb and not leftovers.removable:
        progress("nothing is left over")
    elif arguments.remove == "no":
        progress(f"nothing was removed; `snakemake --cores 1 prune --config prune=yes` removes these {whole_mb:.1f} MB")
    else:
        progress(f"removed {whole_mb:.1f} MB")


def show(leftovers: Leftovers) -> float:
    """Print the leftovers with their sizes, and a sentence about each file to keep. Return the total size in MB."""
    sizes = {}
    for owner, paths in leftovers.removable.items():
        of_each = {path: size_mb([path]) for path in paths}
        sizes[owner] = sum(of_each.values())
        largest = max(of_each, key=lambda path: of_each[path])
        progress(f"{sizes[owner]:9.1f} MB  {owner} ({len(paths)}, such as {largest})")
    for name, numbers in leftovers.versions.items():
        sizes[name] = size_mb(folders_of({name: numbers}))
        progress(
            f"{sizes[name]:9.1f} MB  {name} version {', '.join(map(str, numbers))}, to which no rollback is possible"
        )
    for sentence in leftovers.kept:
        progress(f"     kept     {sentence}")
    return sum(sizes.values())


if __name__ == "__main__":
    run(main, parse_arguments())
