"""Letters to a shop, as token numbers. Each letter is of one topic and has one to five sentences."""

import re
import zlib
from collections.abc import Iterator

import numpy as np

# Token numbers: 0 lengthens texts, 1 begins each of them, and words have the others, by a hash.
START, FIRST_WORD, VOCABULARY = 1, 2, 2048
LETTERS = 80
SENTENCES = {
    "delivery": [
        "My parcel has not arrived, although it was sent nine days ago.",
        "The tracking page has shown the same town since Monday.",
        "The courier left the box in the rain.",
        "Where is my order?",
        "Could you please send it to my office instead of my home, since nobody is there during the day?",
        "Half of the shipment is missing.",
    ],
    "payment": [
        "I was charged twice for one invoice.",
        "Please refund the money to my credit card.",
        "The discount code was not taken off the price at the checkout.",
        "Your invoice lacks our tax number, so our accounting cannot book it.",
        "Can I pay by bank transfer?",
        "The amount on my statement differs from the receipt by four euros and twenty cents.",
    ],
    "defect": [
        "The screen flickers after an hour of use.",
        "The left speaker is broken.",
        "It does not switch on any more, whichever charger I try and however long I wait.",
        "One of the screws was loose, and the lid is scratched.",
        "The battery gets hot!",
        "After the update the device restarts by itself every few minutes.",
    ],
    "account": [
        "I forgot my password.",
        "The link in your mail to confirm my address has expired.",
        "Please delete my account and all personal data that you have stored about me.",
        "I cannot log in since I have a new telephone number.",
        "How do I change my user name?",
        "My profile shows the name of somebody else, which worries me.",
    ],
}


def token_numbers(text: str) -> list[int]:
    """Return the start token, then a number for each word and each punctuation mark."""
    words = re.findall(r"\w+|[^\w\s]", text.lower())
    return [START, *(FIRST_WORD + zlib.crc32(word.encode()) % (VOCABULARY - FIRST_WORD) for word in words)]


def letters() -> Iterator[tuple[str, int]]:
    """Yield letters with the index of their topic, always the same ones."""
    random = np.random.default_rng(0)
    for number in range(LETTERS):
        topic = number % len(SENTENCES)
        sentences = random.permutation(list(SENTENCES.values())[topic])[: random.integers(1, 6)]
        yield " ".join(sentences), topic


def samples() -> Iterator[dict[str, np.ndarray]]:
    """Yield the inputs of one letter each, and its true topic."""
    for text, topic in letters():
        input_ids = np.array([token_numbers(text)], np.int64)
        yield {"input_ids": input_ids, "attention_mask": np.ones_like(input_ids), "true_topic": np.array([topic])}
