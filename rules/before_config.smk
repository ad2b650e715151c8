# Read before config.yaml: the path of Slipway's modules, and checks that need no configuration.
import sys
from pathlib import Path

import snakemake

sys.path.insert(0, str(Path(workflow.current_basedir).parent / "scripts"))

from slipway.snakemake_hooks.start_checks import remove_from_path, require_supported_version

# This check comes before imports that may fail with another version of Snakemake.
require_supported_version(snakemake.__version__)
remove_from_path(Path(workflow.current_basedir).parent)

from slipway.snakemake_hooks.hooks import Hooks, in_report, options, refused_by_snakemake, untracked

hooks = Hooks(workflow)
hooks.check_start()
program, expand, ancient = hooks.program, hooks.expand, hooks.ancient
