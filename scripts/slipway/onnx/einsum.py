"""Write the equations of Einsum nodes in lower-case letters: TensorRT reads no others."""

import string

import onnx


def lower_einsum(model: onnx.ModelProto) -> None:
    """Replace the upper-case letters in the equations of a model's Einsum nodes, each by a letter of its own."""
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Einsum" and attribute.name == "equation":
                attribute.s = lowered(attribute.s.decode()).encode()


def lowered(equation: str) -> str:
    """Return an Einsum's equation with lower-case letters; unchanged if it has more letters than the alphabet."""
    taken = set(filter(str.islower, equation))
    replaced = {}
    for letter in dict.fromkeys(filter(str.isupper, equation)):
        # The letter's own form if no other letter has it.
        candidates = (letter.lower(), *string.ascii_lowercase)
        replaced[letter] = next((lower for lower in candidates if lower not in taken), letter)
        taken.add(replaced[letter])
    return equation.translate(str.maketrans(replaced))
