"""Rewrite a fully connected layer as the equivalent 1x1 convolution behind a global pool.

Engine builders have INT8 kernels for convolutions of any batch size. For a matrix product, TensorRT 8 needs cuBLAS. And
ModelOpt treats a product with batch 1 as a product with a vector, which it does not quantise.
"""

import copy
from pathlib import Path

import onnx

from slipway.onnx.graph_walk import makers_of, refill
from slipway.onnx.onnx_files import shapes_of

_FLATTENING = ("Flatten", "Reshape", "Squeeze")


def with_convolution_head(model: onnx.ModelProto, folder: Path = Path()) -> onnx.ModelProto:
    """Return the model with an equivalent 1x1 convolution in place of each fully connected layer behind a global pool.

    Such a layer is `Gemm(Flatten(pooled))`, or `Gemm(ReduceMean(x))` over the two spatial axes of x. It becomes
    `Flatten(Conv(pooled))`, pooled of shape (N, C, 1, 1), and its weights (values, C) become (values, C, 1, 1). A model
    without such a layer is returned unchanged. `folder` has the file of the model's external data, if there is one.
    """
    changed = copy.deepcopy(model)
    shapes = shapes_of(model)
    makers = makers_of(model.graph)
    readers = [name for node in model.graph.node for name in node.input]
    for node in model.graph.node:
        maker = makers.get(node.input[0]) if node.op_type == "Gemm" and _is_plain(node, model) else None
        if maker is not None and readers.count(maker.output[0]) == 1 and _leaves_one_pixel(maker, shapes):
            _swap(changed, maker, node, folder)
    return changed


def _is_plain(gemm: onnx.NodeProto, model: onnx.ModelProto) -> bool:
    """Return whether a Gemm computes x W^T + b like a linear layer, with weights stored in the file."""
    attributes = {entry.name: onnx.helper.get_attribute_value(entry) for entry in gemm.attribute}
    scaled = attributes.get("alpha", 1.0) != 1.0 or attributes.get("beta", 1.0) != 1.0 or attributes.get("transA", 0)
    stored = {weights.name for weights in model.graph.initializer}
    return not scaled and bool(attributes.get("transB", 0)) and len(gemm.input) == 3 and set(gemm.input[1:]) <= stored


def _leaves_one_pixel(node: onnx.NodeProto, shapes: dict[str, tuple]) -> bool:
    """Return whether a node turns (N, C, 1, 1) into (N, C), or (N, C, H, W) into (N, C) by a mean over the pixels."""
    before, after = shapes.get(node.input[0], ()), shapes.get(node.output[0], ())
    if node.op_type == "ReduceMean":
        return len(before) == 4 and len(after) == 2 and before[1] == after[1]
    return node.op_type in _FLATTENING and before[2:] == (1, 1)


def _swap(model: onnx.ModelProto, maker: onnx.NodeProto, gemm: onnx.NodeProto, folder: Path) -> None:
    """Replace `gemm`, and the node `maker` that makes its input, by a convolution and a Flatten.

    If `maker` is a mean, a global average pool comes before the convolution.
    """
    values = gemm.output[0]
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == gemm.input[1])
    filters = onnx.numpy_helper.to_array(weights, str(folder))[:, :, None, None]
    weights.CopyFrom(onnx.numpy_helper.from_array(filters, weights.name))
    make = onnx.helper.make_node
    pooled, pools = maker.input[0], []
    if maker.op_type == "ReduceMean":
        pooled = f"{values}_pooled"
        pools = [make("GlobalAveragePool", [maker.input[0]], [pooled], f"{gemm.name}_pool")]
    layer = [
        # Without kernel_shape TensorRT 8.5 refuses a kernel that a DequantizeLinear makes.
        make("Conv", [pooled, *gemm.input[1:]], [f"{values}_pixel"], f"{gemm.name}_convolution", kernel_shape=[1, 1]),
        make("Flatten", [f"{values}_pixel"], [values], f"{gemm.name}_flatten", axis=1),
    ]
    new = {maker.output[0]: pools, values: layer}
    refill(model.graph.node, [made for node in model.graph.node for made in new.get(node.output[0], [node])])
    del model.graph.value_info[:]  # shapes inferred for the old nodes
