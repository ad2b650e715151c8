"""Let Snakemake print an error in the configuration as one sentence, without lines of code around it."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from snakemake.exceptions import WorkflowError
from snakemake_interface_logger_plugins.common import LogEvent

from slipway.core.errors import SlipwayError

# Snakemake's text for an error raised by an input, params or resources function.
_IN_A_FUNCTION = re.compile(r"Error:\n\s*(?:Slipway|Workflow)Error:\s+(?P<sentence>.*?)\nWildcards:", re.DOTALL)
# Snakemake's text for an error raised while it reads a Snakefile.
_IN_A_SNAKEFILE = re.compile(
    r'WorkflowError in file "[^"\n]*(?:\.smk|Snakefile)", line \d+:\n(?P<sentence>.*)', re.DOTALL
)
_CODE_LINE = re.compile(r'^  File ".*\n?', re.MULTILINE)


@contextmanager
def refused_by_snakemake() -> Iterator[None]:
    """Context manager: if the block raises a SlipwayError, raise a WorkflowError with its text.

    Snakemake prints a WorkflowError without a traceback.
    """
    try:
        yield
    except SlipwayError as error:
        raise WorkflowError(str(error)) from None


def reduce_refusal(record: logging.LogRecord) -> bool:
    """Reduce Snakemake's log message about a SlipwayError to the error's sentence, without lines of code.

    The error was raised in a Snakefile, or in a function of a rule. This is a filter of the log that drops no message,
    so return True.
    """
    if getattr(record, "event", None) is LogEvent.ERROR:
        message = str(record.msg)
        if refusal := _IN_A_FUNCTION.search(message) or _IN_A_SNAKEFILE.match(message):
            record.msg = _CODE_LINE.sub("", refusal["sentence"]).strip()
    return True
