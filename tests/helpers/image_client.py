"""What Triton's own image clients, such as grpc_image_client.py, ask of a model before they send it a picture."""

from tritonclient.grpc import model_config_pb2 as pb


def shape_of_picture(config, input_dims=None, output_dims=None):
    """Return how such a client shapes a picture for a model: (height, width, channels, whether channels come first).

    The dimensions are those of the server's metadata, with the batch; left out, those that the configuration comes to.
    """
    batch = ["-1"] if config.max_batch_size > 0 else []
    assert len(config.input) == 1, "it expects one input"
    assert len(config.output) == 1, "it expects one output"
    assert config.output[0].data_type == pb.TYPE_FP32, "it expects scores in FP32"
    output_dims = output_dims or [*batch, *map(str, config.output[0].dims)]
    assert len([size for size in output_dims[len(batch) :] if size != "1"]) <= 1, "it expects a vector of scores"
    input_dims = input_dims or [*batch, *map(str, config.input[0].dims)]
    assert len(input_dims) == 3 + len(batch), "it expects a picture of three dimensions"
    layout = pb.ModelInput.Format.Name(config.input[0].format)
    assert layout in ("FORMAT_NCHW", "FORMAT_NHWC"), f"unexpected input format {layout}"
    picture = [int(size) for size in input_dims[len(batch) :]]
    first = layout == "FORMAT_NCHW"
    channels, height, width = picture if first else (picture[2], *picture[:2])
    return height, width, channels, first
