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
    letters = dict.fromkeys(letter for letter in equation if letter.isalpha())
    taken = {letter for letter in letters if letter.islower()}
    free = iter([letter for letter in string.ascii_lowercase if letter not in taken])
    replaced = {}
    for letter in letters:
        if letter.isupper():
            lower = letter.lower()
            # The letter's own form if no other letter has it.
            fits = lower not in taken and lower not in replaced.values()
            replaced[letter] = lower if fits else next((one for one in free if one not in replaced.values()), letter)
    return equation.translate(str.maketrans(replaced))
