"""Train the network for some seconds, export it with dynamic axes, and save the program."""

from pathlib import Path

import numpy as np
import torch
from torch.export import Dim

from docs.examples.exported_program.data import LENGTHS, days
from docs.examples.exported_program.network import Forecaster

PROGRAM = Path("checkpoints/exported_program.pt2")
STEPS = 60


def main() -> None:
    """Train on the days of each length at once."""
    torch.manual_seed(0)
    alike = [[day for day in days() if len(day[0]) == hours] for hours in LENGTHS]
    batches = [[torch.from_numpy(np.stack(column)) for column in zip(*some, strict=True)] for some in alike]
    network = Forecaster().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(STEPS):
        for history, temperature, ahead in batches:
            answer = network(history, temperature=temperature)
            loss = torch.nn.functional.mse_loss(answer["load"], ahead)
            loss = loss + torch.nn.functional.mse_loss(answer["peak"][:, 0], ahead.amax(dim=1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    # An exported program has what it was exported with: eval mode, and axes that may have any size.
    batch, hours = Dim("batch"), Dim("hours", min=24, max=96)
    history, temperature, _ = batches[0]
    program = torch.export.export(
        network.eval(),
        (history,),
        {"temperature": temperature},
        dynamic_shapes={"history": {0: batch, 1: hours}, "temperature": {0: batch}},
    )
    PROGRAM.parent.mkdir(exist_ok=True)
    torch.export.save(program, PROGRAM)
    print(f"{PROGRAM}: loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
