# The paths of artifacts, as the rules ask for them: ONNX files of a precision, engines of a target, their records.


def onnx_file(model, variant):
    """Return the ONNX file of a variant."""
    return f"results/{model}/{model}.onnx" if variant == "fp32" else f"results/{model}/{model}.{variant}.onnx"


def onnx_of(wildcards):
    """Return the ONNX file that an engine is built from."""
    return onnx_file(wildcards.model, resolved.variant(wildcards.target, wildcards.precision))


def network_of(wildcards):
    """Return the file of a model's network: the weights of an architecture, or a program."""
    kind = "program" if resolved.is_program(wildcards.model) else "weights.safetensors"
    return f"results/{wildcards.model}/{kind}"


def network_data_of(wildcards):
    """Return the data file of a program, which has the weights of an ONNX file over 2 GB; [] of an architecture."""
    return f"{network_of(wildcards)}.data" if resolved.is_program(wildcards.model) else []


def onnx_files(variants, suffix=""):
    """Return the input function for a model's ONNX files in the variants that `variants(model)` returns.

    With a suffix they are the records (".json") or the data files (".data") of these ONNX files.
    """
    return lambda wildcards: [f"{onnx_file(wildcards.model, name)}{suffix}" for name in variants(wildcards.model)]


def profile_of(model):
    """Return the record of a model's profile; [] for an ONNX file alone, into which PyTorch's profiler cannot look."""
    return [] if resolved.is_onnx_file(model) else [f"results/{model}/profile/profile.json"]


def golden_for_gates(wildcards):
    """Return PyTorch's own answers, for TensorRT's engines, which are compared with those that they replace."""
    return rules.reference_outputs.output.golden if resolved.runtime(wildcards.target) == "tensorrt" else []


def kept_points(model, target):
    """Return the folder of the load test's measured points, which an interrupted or widened one need not repeat."""
    return f"results/.measured/{model}/{target}"


def signature(model, target):
    """Return the signature of a repository."""
    return f"results/{model}/{target}/repository.sig"


def made_signatures(models, targets):
    """Return the signatures of repositories, where they are made here; else they come from elsewhere."""
    made = bool(config["deploy"]["signing"]["private_key"])
    return [signature(model, target) for target in targets for model in models if made]


def signature_option(wildcards):
    """Return the option that names a repository's signature, where it is made here or has to be verified."""
    signing = config["deploy"]["signing"]
    return option("--signature", any(signing.values()) and signature(wildcards.model, wildcards.target))


def of_every_engine(kind):
    """Return the input function for one kind of file, such as `accuracy.json`, of every engine of a model on a target."""
    return lambda wildcards: [
        f"results/{wildcards.model}/{wildcards.target}/{wildcards.model}.{precision}.{kind}"
        for precision in resolved.precisions(wildcards.target, wildcards.model)
    ]


def engines_of(wildcards):
    """Return the files of every engine of a model on a target."""
    suffixes = resolved.traits(wildcards.target).suffixes
    return [file for suffix in suffixes for file in of_every_engine(suffix[1:])(wildcards)]


def engine_files(wildcards):
    """Return the engine that a build record describes."""
    engine = f"results/{wildcards.model}/{wildcards.target}/{wildcards.model}.{wildcards.precision}"
    return [f"{engine}{suffix}" for suffix in resolved.traits(wildcards.target).suffixes]


def checkpoint_accuracy(wildcards):
    """Return the record of PyTorch's own accuracy, where there are evaluation data."""
    return f"results/{wildcards.model}/accuracy.json" if resolved.has_evaluation(wildcards.model) else []


def evaluation_of(wildcards):
    """Return PyTorch's answers to the evaluation data, where there are such data."""
    return f"results/{wildcards.model}/evaluation.npz" if resolved.has_evaluation(wildcards.model) else []


def conversion_files(wildcards):
    """Return the option with the calibration data of a quantised variant; for one that is cast, there are none."""
    if wildcards.variant in ("fp16", "bf16"):
        return ""
    data = option(*resolved.file_of_calibration(wildcards.model))
    targets = JobKey(targets=resolved.metric_targets(wildcards.model) or None)
    return option("--conversion-files", f"{data} {targets}")


def diagnosis_of(*models):
    """Return the diagnoses of the precisions of some models."""
    return [f"results/{model}/diagnosis.{variant}.json" for model in models for variant in resolved.diagnosed(model)]


def history_of(wildcards):
    """Return the file with all runs and deployments of a model."""
    return f"results/{wildcards.model}/history.jsonl"


def measured_of_every_target(wildcards):
    """Return the records of a model's engines and of their measurements, on every target."""
    of_target = [
        "{model}.benchmark.json",
        "analysis/analysis.json",
        "selection.json",
    ]
    of_engine = ["{model}.{precision}.engine.json", "{model}.{precision}.accuracy.json"]
    return [
        f"results/{wildcards.model}/{target}/{name.format(model=wildcards.model, precision=precision)}"
        for target in resolved.targets
        for names, precisions in [(of_target, [None]), (of_engine, resolved.precisions(target, wildcards.model))]
        for precision in precisions
        for name in names
    ]


def measured_of(wildcards):
    """Return the records that a run's line comes from."""
    return [file for file in measured_of_every_target(wildcards) if file.endswith(".json")]
