"""A small BERT: a transformer encoder over token numbers, and scores from its first token."""

import torch
from torch import nn
from torch.nn import functional


class Layer(nn.Module):
    """Self-attention among the real tokens, then a feed-forward network."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_feed_forward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return (N, sequence, width) of tokens of that shape; `mask` (N, 1, 1, sequence) is false for padding."""
        heads = self.query_key_value(self.before_attention(tokens)).unflatten(-1, (3, self.heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        tokens = tokens + self.output(attended.transpose(1, 2).flatten(2))
        return tokens + self.feed_forward(self.before_feed_forward(tokens))


class TextClassifier(nn.Module):
    """Scores of `topics` for texts of at most `longest` tokens."""

    def __init__(self, vocabulary: int, longest: int, width: int, layers: int, heads: int, topics: int) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(longest, width)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, topics))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return scores (N, topics) of token numbers (N, sequence); `attention_mask` is 0 for padding."""
        tokens = self.words(input_ids) + self.positions.weight[: input_ids.shape[1]]
        mask = attention_mask[:, None, None, :].bool()
        for layer in self.layers:
            tokens = layer(tokens, mask)
        return self.head(tokens[:, 0])


def classifier(
    vocabulary: int = 2048, longest: int = 128, width: int = 64, layers: int = 2, heads: int = 4, topics: int = 4
) -> TextClassifier:
    """Return the classifier without trained weights."""
    return TextClassifier(vocabulary, longest, width, layers, heads, topics)
