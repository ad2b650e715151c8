# Functions that return the paths of artifacts as inputs of rules: ONNX files, engines and their records.


def of_models(*files, where=lambda model: True):
    """Return an input function: the paths `files` with {model} filled in, or [] if `where(model)` is false."""
    return lambda wildcards: [file.format(model=wildcards.model) for file in files if where(wildcards.model)]


def onnx_file(model, variant):
    """Return the path of a model's ONNX file in a variant."""
    return f"results/{model}/{model}.onnx" if variant == "fp32" else f"results/{model}/{model}.{variant}.onnx"


def onnx_of(suffix=""):
    """Return an input function: the path of an engine's ONNX file, or of its record (".json") or data file (".data")."""
    variant = lambda wildcards: resolved.variant(wildcards.target, wildcards.precision)
    return lambda wildcards: onnx_file(wildcards.model, variant(wildcards)) + suffix


def onnx_files(variants, suffix=""):
    """Return an input function: the paths of a model's ONNX files in the variants that `variants(model)` returns.

    With the suffix ".json", it returns the ONNX files' records, with ".data" their data files.
    """
    return lambda wildcards: [onnx_file(wildcards.model, name) + suffix for name in variants(wildcards.model)]


def network_of(wildcards):
    """Return the path of a model's network: the weights of an architecture, or a program with the network inside."""
    kind = "program" if resolved.is_program(wildcards.model) else "weights.safetensors"
    return f"results/{wildcards.model}/{kind}"


# The data file of a program: the weights of an ONNX file over 2 GB, else empty. An architecture has no data file.
network_data_of = of_models("results/{model}/program.data", where=resolved.is_program)
# A model that is only an ONNX file has no profile, because PyTorch cannot run it.
profile_of = of_models("results/{model}/profile/profile.json", where=lambda model: not resolved.is_onnx_file(model))
# The checkpoint's accuracy in PyTorch, and its answers to the evaluation data, if the model has such data.
checkpoint_accuracy = of_models("results/{model}/accuracy.json", where=resolved.has_evaluation)
evaluation_of = of_models("results/{model}/evaluation.npz", where=resolved.has_evaluation)


def of_every_engine(kind):
    """Return an input function: the paths of the files `kind`, such as "accuracy.json", of all engines of a target."""
    return lambda wildcards: [
        f"results/{wildcards.model}/{wildcards.target}/{wildcards.model}.{precision}.{kind}"
        for precision in resolved.precisions(wildcards.target, wildcards.model)
    ]


def engines_of(wildcards):
    """Return the paths of the files of all engines of a model on a target."""
    suffixes = resolved.traits(wildcards.target).suffixes
    return [file for suffix in suffixes for file in of_every_engine(suffix[1:])(wildcards)]


def engine_files(wildcards):
    """Return the paths of the files of the engine with these wildcards: model, target and precision."""
    engine = f"results/{wildcards.model}/{wildcards.target}/{wildcards.model}.{wildcards.precision}"
    return [f"{engine}{suffix}" for suffix in resolved.traits(wildcards.target).suffixes]


def conversion_files(wildcards):
    """Return the options for calibration data as one text; None for fp16 and bf16, which need no such data."""
    return None if wildcards.variant in ("fp16", "bf16") else str(calibration_data(wildcards))


def diagnosis_of(*models):
    """Return the paths of the diagnoses of all diagnosed variants of `models`."""
    return [f"results/{model}/diagnosis.{variant}.json" for model in models for variant in resolved.diagnosed(model)]


def measured_of(wildcards):
    """Return the paths of the records of a model's engines and of their measurements, on every target."""
    model, names = wildcards.model, []
    for target in resolved.targets:
        names += [
            f"{target}/{name}" for name in (f"{model}.benchmark.json", "analysis/analysis.json", "selection.json")
        ]
    for target, precision in resolved.engines(model):
        names += [f"{target}/{model}.{precision}.{kind}.json" for kind in ("engine", "accuracy")]
    return [f"results/{model}/{name}" for name in names]


def evidence_of(*models):
    """Return an input function: the paths of the measurements of `models`. It refuses batches that no engine accepts."""

    def files(wildcards):
        with refused_by_snakemake():
            require_batches(resolved)
        # The index shows all models, so it is not an input for only some models.
        index = ["results/index.html"] if set(models) == set(resolved.models) else []
        return [file for model in models for file in evidence_of_model(model)] + index

    return files


def evidence_of_model(model):
    """Return the paths of the reports, measurements and accuracy records of a model, on every target."""
    names = ["report.html", "run.json", *([] if resolved.is_onnx_file(model) else ["profile/profile.json"])]
    for target in resolved.targets:
        names += [f"{target}/{name}" for name in (f"{model}.benchmark.json", "selection.json", "analysis/summary.pdf")]
    names += [f"{target}/{model}.{precision}.accuracy.json" for target, precision in resolved.engines(model)]
    return [f"results/{model}/{name}" for name in names]


# Inputs of many rules, used as `**NETWORK`. They are paths, since the rules that make these files are defined later.
# The file of a network (weights of an architecture, or a program), its data file, and the record for loading it.
NETWORK = {"weights": network_of, "weights_data": network_data_of, "weights_record": "results/{model}/weights.json"}
SAMPLES = {"samples": "results/{model}/samples.npz", "samples_record": "results/{model}/samples.json"}
# For jobs that need samples of the right dtypes and shapes, but whose output does not depend on values. The interface
# is `ancient`, too: if it changes, then weights, engines or settings also change, and make the job stale.
ANY_SAMPLES = {"interface": ancient("results/{model}/interface.json"), "samples": ancient(SAMPLES["samples"])}
