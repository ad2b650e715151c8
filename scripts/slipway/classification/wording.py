"""The task's name in a contract, and its words for samples."""

TASK = "classification"
WORDS = {
    "unit": "image",
    "first": "the sample photograph",
    "several": "photographs",
    "proof": "labelled photographs",
}
