# The names of what is made, as the rules ask for it: ONNX files of a precision, engines of a target, their records.


def onnx_file(model, variant):
    """Return the ONNX file of a variant."""
    return f"results/{model}/{model}.onnx" if variant == "fp32" else f"results/{model}/{model}.{variant}.onnx"


def onnx_record(model, variant):
    """Return the record of an ONNX file."""
    return f"{onnx_file(model, variant)}.json"


def onnx_of(wildcards):
    """Return the ONNX file that an engine is built from."""
    return onnx_file(wildcards.model, resolved.variant(wildcards.target, wildcards.precision))


def onnx_record_of(wildcards):
    """Return the record of the ONNX file that an engine is built from."""
    return onnx_record(wildcards.model, resolved.variant(wildcards.target, wildcards.precision))


def golden_for_gates(wildcards):
    """Return PyTorch's own answers, for TensorRT's engines, which are compared with those that they replace."""
    return rules.reference_outputs.output.golden if resolved.runtime(wildcards.target) == "tensorrt" else []


def signature(model, target):
    """Return the signature of a repository."""
    return f"results/{model}/{target}/repository.sig"


def made_signatures(models, target):
    """Return the signatures of repositories, where they are made here; else they come from elsewhere."""
    return [signature(model, target) for model in models] if config["deploy"]["signing"]["private_key"] else []


def of_every_precision(kind, wildcards):
    """Return one kind of file for every engine of a model on a target."""
    folder = f"results/{wildcards.model}/{wildcards.target}"
    return [f"{folder}/{wildcards.model}.{precision}.{kind}" for precision in resolved.precisions(wildcards.target)]


def engines_of(wildcards):
    """Return the files of every engine of a model on a target."""
    return [
        file
        for suffix in resolved.traits(wildcards.target).suffixes
        for file in of_every_precision(suffix[1:], wildcards)
    ]


def onnx_records_of_fleet(wildcards):
    """Return the records of the ONNX files that the engines of every deployed target are built from."""
    return [onnx_record(wildcards.model, variant) for variant in resolved.variants_of(resolved.fleet)]


def onnx_records_of_model(wildcards):
    """Return the records of the ONNX files that a model's engines are built from, FP32 first."""
    return [onnx_record(wildcards.model, variant) for variant in resolved.variants()]


def engine_records(wildcards):
    """Return the build records of every engine of a model on a target."""
    return of_every_precision("engine.json", wildcards)


def accuracy_records(wildcards):
    """Return the accuracy records of every engine of a model on a target."""
    return of_every_precision("accuracy.json", wildcards)


def checkpoint_accuracy(wildcards):
    """Return the record of PyTorch's own accuracy, where there are labelled photographs."""
    return f"results/{wildcards.model}/accuracy.json" if config["accuracy"]["labelled"] else []


def engine_files(wildcards):
    """Return the engine that a build record describes."""
    return expand(
        "results/{model}/{target}/{model}.{precision}{suffix}",
        suffix=resolved.traits(wildcards.target).suffixes,
        **wildcards,
    )


def measured_of_every_target(wildcards):
    """Return the records of a model's engines, and of what was measured and chosen, on every target."""
    model = wildcards.model
    of_target = [
        f"{model}.benchmark.json",
        "analysis/analysis.json",
        "analysis/throughput_latency.png",
        "selection.json",
    ]
    of_engine = [f"{model}.{{}}.engine.json", f"{model}.{{}}.accuracy.json"]
    return [f"results/{model}/{target}/{name}" for target in resolved.targets for name in of_target] + [
        f"results/{model}/{target}/{name.format(precision)}"
        for target in resolved.targets
        for precision in resolved.precisions(target)
        for name in of_engine
    ]
