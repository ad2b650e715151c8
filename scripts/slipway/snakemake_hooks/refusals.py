"""Show a refused configuration in Snakemake's log as one sentence, without the lines of code around it."""

import logging
import re

from snakemake_interface_logger_plugins.common import LogEvent

# Snakemake's text for an error that an input, params or resources function raised.
_IN_A_FUNCTION = re.compile(r"Error:\n\s*(?:Slipway|Workflow)Error:\s+(?P<sentence>.*?)\nWildcards:", re.DOTALL)
# Its text for an error that was raised while a Snakefile was read.
_IN_A_SNAKEFILE = re.compile(r'WorkflowError in file "[^"\n]*\.smk", line \d+:\n(?P<sentence>.*)', re.DOTALL)
_CODE_LINE = re.compile(r'^  File ".*\n?', re.MULTILINE)


class PlainRefusals(logging.Filter):
    """A filter of Snakemake's log that passes every message, and reduces a refusal to its sentence."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the message of a refusal by its sentence; pass every record."""
        if getattr(record, "event", None) is LogEvent.ERROR:
            record.msg = plain(str(record.msg))
        return True


def plain(message: str) -> str:
    """Return the sentence of a refusal alone; any other message as it is."""
    found = _IN_A_FUNCTION.search(message) or _IN_A_SNAKEFILE.match(message)
    return _CODE_LINE.sub("", found["sentence"]).strip() if found else message
