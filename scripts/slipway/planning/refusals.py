"""A refused configuration in Snakemake's log as one sentence, without the code lines that Snakemake puts around it."""

import logging
import re

from snakemake_interface_logger_plugins.common import LogEvent

# How Snakemake words an error raised by one of its input, params or resources functions.
_IN_A_FUNCTION = re.compile(r"Error:\n\s*(?:Slipway|Workflow)Error:\s+(?P<sentence>.*?)\nWildcards:", re.DOTALL)
# How it words an error raised while a Snakefile is read.
_IN_A_SNAKEFILE = re.compile(r'WorkflowError in file "[^"\n]*\.smk", line \d+:\n(?P<sentence>.*)', re.DOTALL)
_CODE_LINE = re.compile(r'^  File ".*\n?', re.MULTILINE)


class PlainRefusals(logging.Filter):
    """A filter of Snakemake's log that lets everything pass, and cuts what surrounds the sentence of a refusal."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Put the sentence in place of an error's message, where it is of a refusal; pass on everything."""
        if getattr(record, "event", None) is LogEvent.ERROR:
            record.msg = plain(str(record.msg))
        return True


def plain(message: str) -> str:
    """Return the sentence of a refusal alone; any other message as it is."""
    found = _IN_A_FUNCTION.search(message) or _IN_A_SNAKEFILE.match(message)
    return _CODE_LINE.sub("", found["sentence"]).strip() if found else message
