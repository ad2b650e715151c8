"""Train scikit-learn's digits classifier, and export it as an ONNX file with a fixed batch of 1."""

from pathlib import Path

from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.neural_network import MLPClassifier

from docs.examples.onnx_file.data import PIXELS, digits

FILE = Path("checkpoints/digits.onnx")


def trained() -> MLPClassifier:
    """Return a classifier of 8 x 8 digits, always the same one."""
    pixels, labels = digits(held_out=False)
    return MLPClassifier((32,), max_iter=400, random_state=0).fit(pixels, labels)


def main() -> None:
    """Write the ONNX file, as a service that classifies one digit at a time would have it."""
    FILE.parent.mkdir(exist_ok=True)
    inputs = [("pixels", FloatTensorType([1, PIXELS]))]
    model = to_onnx(trained(), initial_types=inputs, options={"zipmap": False}, target_opset=15)
    FILE.write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
