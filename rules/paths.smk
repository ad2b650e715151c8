# The paths of artifacts, as the rules ask for them: ONNX files of a precision, engines of a target, their records.


def of_models(*files, where=lambda model: True):
    """Return the input function for files of a model where `where(model)` is true, else for none."""
    return lambda wildcards: [file.format(model=wildcards.model) for file in files if where(wildcards.model)]


def onnx_file(model, variant):
    """Return the ONNX file of a variant."""
    return f"results/{model}/{model}.onnx" if variant == "fp32" else f"results/{model}/{model}.{variant}.onnx"


def onnx_of(suffix=""):
    """Return the input function for the ONNX file that an engine is built from; see `onnx_files` for the suffix."""
    variant = lambda wildcards: resolved.variant(wildcards.target, wildcards.precision)
    return lambda wildcards: onnx_file(wildcards.model, variant(wildcards)) + suffix


def onnx_files(variants, suffix=""):
    """Return the input function for a model's ONNX files in the variants that `variants(model)` returns.

    With a suffix they are the records (".json") or the data files (".data") of these ONNX files.
    """
    return lambda wildcards: [onnx_file(wildcards.model, name) + suffix for name in variants(wildcards.model)]


def network_of(wildcards):
    """Return the file of a model's network: the weights of an architecture, or a program."""
    kind = "program" if resolved.is_program(wildcards.model) else "weights.safetensors"
    return f"results/{wildcards.model}/{kind}"


# The weights of a program that is an ONNX file over 2 GB; an architecture has no such file.
network_data_of = of_models("results/{model}/program.data", where=resolved.is_program)
# PyTorch's profiler cannot look into an ONNX file alone.
profile_of = of_models("results/{model}/profile/profile.json", where=lambda model: not resolved.is_onnx_file(model))
# PyTorch's own accuracy, and its answers to the evaluation data, where there are such data.
checkpoint_accuracy = of_models("results/{model}/accuracy.json", where=resolved.has_evaluation)
evaluation_of = of_models("results/{model}/evaluation.npz", where=resolved.has_evaluation)


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


def conversion_files(wildcards):
    """Return the options with the calibration data of a quantised variant as one text; None for one that is cast."""
    return None if wildcards.variant in ("fp16", "bf16") else str(calibration_data(wildcards))


def diagnosis_of(*models):
    """Return the diagnoses of the precisions of some models."""
    return [f"results/{model}/diagnosis.{variant}.json" for model in models for variant in resolved.diagnosed(model)]


def measured_of(wildcards):
    """Return the records of a model's engines and of their measurements, on every target."""
    model, names = wildcards.model, []
    for target in resolved.targets:
        names += [
            f"{target}/{name}" for name in (f"{model}.benchmark.json", "analysis/analysis.json", "selection.json")
        ]
    for target, precision in resolved.engines(model):
        names += [f"{target}/{model}.{precision}.{kind}.json" for kind in ("engine", "accuracy")]
    return [f"results/{model}/{name}" for name in names]


def evidence_of(*models):
    """Return the input function for all that is measured of models; it refuses batch sizes that no engine takes."""

    def files(wildcards):
        with refused_by_snakemake():
            require_batches(resolved)
        # The index is that of all models.
        index = ["results/index.html"] if set(models) == set(resolved.models) else []
        return [file for model in models for file in evidence_of_model(model)] + index

    return files


def evidence_of_model(model):
    """Return what is measured of a model, on every target and of every engine."""
    names = ["report.html", "run.json", *([] if resolved.is_onnx_file(model) else ["profile/profile.json"])]
    for target in resolved.targets:
        names += [f"{target}/{name}" for name in (f"{model}.benchmark.json", "selection.json", "analysis/summary.pdf")]
    names += [f"{target}/{model}.{precision}.accuracy.json" for target, precision in resolved.engines(model)]
    return [f"results/{model}/{name}" for name in names]


# Inputs that many rules share, written as `**NETWORK`. They are named by path, since the rules that make them follow later.
# A network's file, and the record that says how it is loaded: weights of an architecture, or a program.
NETWORK = {"weights": network_of, "weights_data": network_data_of, "weights_record": "results/{model}/weights.json"}
SAMPLES = {"samples": "results/{model}/samples.npz", "samples_record": "results/{model}/samples.json"}
# For jobs that need samples of the right dtypes and shapes, and whose output does not depend on the values. The interface is
# `ancient`, too: if it changes, the weights, the engines or the settings change with it, and these make the job stale.
ANY_SAMPLES = {"interface": ancient("results/{model}/interface.json"), "samples": ancient(SAMPLES["samples"])}
