"""Classifiers as the metadata of a server state them."""

from tritonclient.grpc import model_config_pb2, service_pb2

from slipway.classification.served_classifier import classifier_of

LOGITS = {"logits": ("FP32", [-1, 1000])}
PICTURES = {"input": ("FP32", [-1, 3, 224, 224])}


def described(inputs, outputs, max_batch=0, labels="", parameters=None, **more):
    """Return the classifier that a server's metadata make: {name: (datatype, shape)} of inputs and outputs."""
    metadata = service_pb2.ModelMetadataResponse(name="m")
    for tensors, side in ((inputs, metadata.inputs), (outputs, metadata.outputs)):
        for name, (datatype, shape) in tensors.items():
            side.add(name=name, datatype=datatype, shape=shape)
    config = model_config_pb2.ModelConfig(name="m", max_batch_size=max_batch)
    for name in outputs:
        config.output.add(name=name, label_filename=labels)
    for name, value in (parameters or {}).items():
        config.parameters[name].string_value = value
    return classifier_of(metadata, config, **more)
