"""Save torchvision's published weights; without a connection, random ones that rehearse everything."""

from pathlib import Path

import torch
from torchvision.models import get_model_weights

from docs.examples.detection.data import pictures
from docs.examples.detection.network import ARCHITECTURE, detector

CHECKPOINT = Path("checkpoints/detection.pth")


def random_network() -> torch.nn.Module:
    """Return a network of random weights whose statistics are those of real pictures, so that its answers vary."""
    torch.manual_seed(0)
    network = detector().train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean over all pictures
    with torch.no_grad():
        network((torch.stack([torch.from_numpy(pixels.copy()) for pixels in pictures()]) / 255 - 0.5) / 0.5)
    return network


def main() -> None:
    """Download or draw the weights."""
    CHECKPOINT.parent.mkdir(exist_ok=True)
    try:
        state = get_model_weights(ARCHITECTURE).DEFAULT.get_state_dict(progress=False, check_hash=True)
        torch.save(state, CHECKPOINT)
        print(f"{CHECKPOINT}: torchvision's published weights")
    except OSError as error:
        torch.save(random_network().state_dict(), CHECKPOINT)
        print(f"{CHECKPOINT}: RANDOM weights, since the published ones cannot be downloaded ({error})")


if __name__ == "__main__":
    main()
