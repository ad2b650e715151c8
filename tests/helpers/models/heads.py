"""Tiny networks that differ in what their outputs mean, with weights by which their answers differ well."""

import torch

from helpers.models.canonical_weights import write_weights
from helpers.models.reference_outputs import make_reference
from slipway.core.artifacts import read_json

# What a network does with its scores, by its name here.
HEADS = {
    "logits": lambda scores: scores,
    "log_softmax": lambda scores: scores.log_softmax(1),
    "softmax": torch.nn.Softmax(dim=1),
    "functional_softmax": lambda scores: torch.nn.functional.softmax(scores, dim=-1).contiguous().view(-1, 3),
    "exp_of_log_softmax": lambda scores: scores.log_softmax(1).exp(),
    "half_softmax": lambda scores: scores.bfloat16().softmax(1),
    "half_shares": lambda scores: scores.bfloat16().exp() / scores.bfloat16().exp().sum(1, keepdim=True),
    "votes": lambda scores: scores.softmax(1) + (2 * scores).softmax(1),
    "negative_log": lambda scores: -scores.log_softmax(1),
    "log10": lambda scores: scores.softmax(1).log10(),
    "log_sigmoid": torch.nn.functional.logsigmoid,
    "sigmoid_by_tanh": lambda scores: 0.5 + 0.5 * torch.tanh(scores / 2),
    "positive_unit_length": lambda scores: torch.nn.functional.normalize(scores.relu()),
    "softmax_of_pairs": lambda scores: scores.view(-1, 2, 2).softmax(2).flatten(1),
    "topk": lambda scores: scores.topk(scores.shape[1])[0],
    "softmax_of_sorted": lambda scores: scores.sort(1, descending=True)[0].softmax(1),
    "percent": lambda scores: 100 * scores.softmax(1),
    "sigmoid": torch.nn.Sigmoid(),
    "functional_sigmoid": torch.special.expit,
    "hard_sigmoid": torch.nn.functional.hardsigmoid,
    "sigmoid_by_hand": lambda scores: 1 / (1 + torch.exp(-scores)),
    "unit_length": lambda scores: torch.nn.functional.normalize(scores),
    "constant": lambda scores: 0 * scores + 3,
    "hardly": lambda scores: 1e-7 * scores + 3,
    "zero": lambda scores: 0 * scores,
    "nan": lambda scores: scores / 0 * 0,
}
SCALE = 6.0


class Network(torch.nn.Module):
    """Colours, averaged over parts of the picture, to `values` scores, then a head."""

    def __init__(self, head="logits", values=3, **_):
        super().__init__()
        self.classify = torch.nn.Linear(3 * 16, values)
        self.head = HEADS[head]

    def forward(self, images):
        parts = torch.nn.functional.adaptive_avg_pool2d(images, 4).flatten(1)
        return self.head(self.classify(parts))


class Prepared:
    """A network's checkpoint, and its reference outputs, in a folder."""

    def __init__(self, folder, labels=None, **arguments):
        self.folder, self.arguments, self.labels = folder, arguments, labels

    def weights(self):
        """Write the checkpoint and its record as fetch_weights.py does; return both paths."""
        with torch.random.fork_rng():
            torch.manual_seed(5)
            network = Network(**self.arguments)
            network.classify.weight.data *= SCALE
        return write_weights(self.folder, network, f"{__name__}:Network", arguments=self.arguments)

    def reference(self, *options):
        """Return the record of its reference outputs."""
        if self.labels:
            (self.folder / "names.txt").write_text("\n".join(self.labels) + "\n", encoding="utf-8")
            options = (*options, "--labels-from", str(self.folder / "names.txt"))
        make_reference(self.folder, *self.weights(), *options)
        record = read_json(self.folder / "reference_outputs.json")
        return record | record["outputs"]["logits"]
