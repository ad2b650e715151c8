"""The names and words of the classification task: of its tensors, samples and settings.

A task is a kind of model that Slipway knows more about than its tensors. Contracts name it in "task".
"""

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
