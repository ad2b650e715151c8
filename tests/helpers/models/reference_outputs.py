"""The reference outputs of a classifier, made by the programs that the workflow runs for them."""

import make_contract
import reference_outputs
import sample_inputs
from helpers.models.tiny_network import OPTIONS
from slipway.contract.reference_outputs import ReferenceOutputs


def make_reference(folder, weights, record, *finding, input_dtype="float32", preprocessing=OPTIONS):
    """Write samples.*, contract.json, labels.txt and reference_outputs.* into a folder; return the reference outputs.

    `finding` are further options of make_contract.py, such as --meaning.
    """
    pictures = [*preprocessing, "--input", input_dtype]
    of_weights = ["--weights", str(weights), "--weights-record", str(record)]
    samples = f"--output {folder}/samples.npz --record {folder}/samples.json".split()
    sample_inputs.main(sample_inputs.parse_arguments([*samples, *pictures]))
    made = f"--contract {folder}/contract.json --interface {folder}/interface.json --labels {folder}/labels.txt".split()
    taken = f"--samples {folder}/samples.npz --samples-record {folder}/samples.json".split()
    make_contract.main(make_contract.parse_arguments([*of_weights, *taken, *made, *finding]))
    read = [*taken, f"--contract={folder}/contract.json"]
    written = [f"--labels={folder}/labels.txt", f"--output={folder}/reference_outputs.npz"]
    written.append(f"--record={folder}/reference_outputs.json")
    reference_outputs.main(reference_outputs.parse_arguments([*of_weights, *read, *written]))
    return ReferenceOutputs.read(folder / "reference_outputs.npz")
