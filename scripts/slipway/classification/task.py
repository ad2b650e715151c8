"""The name of the task in a contract, the names of its tensors, and its words for samples and settings."""

TASK = "classification"
# The names of a photograph classifier's input and output. Clients of a served classifier use the same names.
INPUT, OUTPUT = "input", "logits"
WORDS = {
    "unit": "image",
    "first": "the sample photograph",
    "several": "photographs",
    "proof": "labelled photographs",
}
# {setting of a job: its words in the reasons of reruns}
SETTINGS = {
    "labels_from_sha256": "class names",
    "image_sha256": "sample photograph",
    "images_sha256": "calibration photographs",
    "labelled_sha256": "labelled photographs",
}
