"""Letters to a shop, as the tokenizer of the checkpoint makes tokens of them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from docs.examples.text.data import letters

FOLDER = Path("checkpoints/transformers_text")
LONGEST = 128


def samples() -> Iterator[dict[str, np.ndarray]]:
    """Yield the inputs of one letter each."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(FOLDER)
    for text, _ in letters():
        tokens = tokenizer(text, truncation=True, max_length=LONGEST, return_tensors="np")
        yield {name: tokens[name].astype(np.int64) for name in ("input_ids", "attention_mask")}
