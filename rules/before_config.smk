# What comes before Snakemake reads config.yaml: the way to Slipway's modules, and one sentence where it cannot be read.
import sys
from contextlib import contextmanager
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from slipway.core.errors import SlipwayError
from slipway.keys.config_text import require_readable
from slipway.keys.writable_folders import require_folders
from slipway.snakemake_hooks.refusals import PlainRefusals
from slipway.core.cli import restrict_umask


@contextmanager
def told_in_a_sentence():
    """Let Snakemake tell what is wrong with the configuration as the sentence that it is."""
    try:
        yield
    except SlipwayError as error:
        raise WorkflowError(str(error)) from None


restrict_umask()
if workflow.is_main_process:
    logger.addFilter(PlainRefusals())
    with told_in_a_sentence():
        require_folders("results", "logs", ".snakemake")
        for file in workflow.overwrite_configfiles or ["config.yaml"]:
            require_readable(file)
