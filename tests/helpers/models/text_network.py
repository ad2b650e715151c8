"""A small network of texts with two inputs of a dynamic length, and random texts for it."""

import numpy as np
import torch
from torch import nn


def text(length, rows=1):
    ids = np.random.default_rng([length, rows]).integers(1, 30, (rows, length))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


TEXTS = [text(5), text(7), text(12)]
TEXT_STATED = {
    "inputs": {name: {"shape": ["batch", "sequence"], "pad": 0} for name in TEXTS[0]},
    "axes": {"sequence": {"min": 2, "opt": 8, "max": 16}},
}


class Text(nn.Module):
    """Like BERT: token and position embeddings, masked attention, a pooled answer and one for each token."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.tokens, self.positions = nn.Embedding(30, 8), nn.Embedding(16, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, input_ids, attention_mask, token_type_ids=None, return_dict=True):
        places = torch.arange(input_ids.shape[1])
        hidden = self.tokens(input_ids) + self.positions(places)
        hidden, _ = self.attention(hidden, hidden, hidden, key_padding_mask=attention_mask == 0)
        answer = {"logits": self.head(hidden[:, 0]), "hidden": hidden, "aux": None}
        return answer if return_dict else tuple(answer.values())
