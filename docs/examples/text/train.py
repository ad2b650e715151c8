"""Train the text classifier for some seconds, and save its checkpoint."""

from pathlib import Path

import torch

from docs.examples.text.data import letters, token_numbers
from docs.examples.text.network import classifier

CHECKPOINT = Path("checkpoints/text.pth")
STEPS = 40


def main() -> None:
    """Train on all letters at once, padded to the longest."""
    torch.manual_seed(0)
    texts, topics = zip(*letters(), strict=True)
    input_ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(token_numbers(text)) for text in texts], batch_first=True)
    network = classifier().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for _ in range(STEPS):
        scores = network(input_ids, (input_ids != 0).long())
        loss = torch.nn.functional.cross_entropy(scores, torch.tensor(topics))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    CHECKPOINT.parent.mkdir(exist_ok=True)
    torch.save(network.state_dict(), CHECKPOINT)
    print(f"{CHECKPOINT}: loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
