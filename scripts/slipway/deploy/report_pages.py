"""Write the pages of models anew after a deployment, so that the pages show the live versions."""

from collections.abc import Sequence
from pathlib import Path

# This module only reports on a deployment, so no build key contains its code.
PART_OF_KEYS = False


def refresh_pages(results: Sequence[Path]) -> None:
    """Write the report pages of models anew after a deployment, so that they show the live versions.

    `results` are folders results/<model>. The pages of all other models are checked, too, since one server may serve
    all models. Then the index of all models is written. If a page cannot be written, the error is only printed, because
    the deployment has succeeded; the next `snakemake --cores 1 evidence` writes the page.

    Snakemake's next run detects an edited artifact by its stamp, the recorded SHA-256. So each written page gets a new
    stamp.
    """
    from slipway.core.cli import progress
    from slipway.keys.file_hash_cache import FileHashCache
    from slipway.report.index import rewrite_index
    from slipway.report.page import rewrite
    from slipway.report.recipe import is_current
    from slipway.snakemake_hooks.artifact_stamps import read_stamps
    from slipway.snakemake_hooks.records import ArtifactRecords

    pages = sorted(page for root in {folder.parent for folder in results} for page in root.glob("*/report.html"))
    for page in [page for page in pages if not is_current(page)]:
        index = page.parent.with_name("index.html")
        try:
            rewrite(page)
            rewrite_index(index)
            ArtifactRecords(FileHashCache()).remember({str(page), str(index)} & read_stamps().keys())
        except Exception as error:  # no error may fail the command, because the deployment has succeeded
            progress(
                f"  {page} still shows the previous live version ({error}); `snakemake --cores 1 evidence` writes the "
                "page again"
            )
