# From ONNX to an engine. Needs the ONNX file of a precision; makes results/<model>/<target>/<model>.<precision>.*. Each
# runtime has its rule, build_<runtime>. The traits of the runtime name the suffixes of the engine's files.
from slipway.runtimes import RUNTIMES

for runtime, traits in RUNTIMES.items():

    rule:
        name:
            f"build_{runtime}"
        input:
            program=program("build_engine"),
            onnx=onnx_of(),
            data=onnx_of(".data"),
            record=onnx_of(".json"),
            # The reference outputs only check the engine. `ancient`, because other reference outputs change no engine.
            reference=ancient("results/{model}/reference_outputs.npz") if runtime == "tensorrt" else [],
        output:
            engine=[update(f"results/{{model}}/{{target}}/{{model}}.{{precision}}{end}") for end in traits.suffixes],
            record=update("results/{model}/{target}/{model}.{precision}.engine.json"),
        wildcard_constraints:
            target=one_of(resolved.targets_of(runtime)),
        # On a cluster, the jobs of a target share one allocation. profiles/ name the other rules of the group.
        group:
            lambda wildcards: None if hooks.runs_jobs_here() else "target"
        # The whole machine, because TensorRT measures the speed of kernels to choose among them.
        threads: WHOLE_MACHINE if traits.needs_gpu and not traits.builds_without_hardware else 1
        resources:
            **({"seat": 1} if traits.builds_without_hardware else ON_TARGET),
        params:
            settings=lambda wildcards: keys.build_engine(wildcards.target, wildcards.precision),
            python=untracked(lambda wildcards: resolved.interpreter(wildcards.target)),
            options=options(
                lambda wildcards: keys.gates(wildcards.model, wildcards.target, wildcards.precision),
                timing_cache=lambda wildcards: resolved.timing_cache(wildcards.target),
            ),
        message:
            "Building the {wildcards.precision} engine of {wildcards.model} for {wildcards.target}"
        shell:
            "{params.python:q} {input.program:q} --onnx {input.onnx:q} --onnx-record {input.record:q} --reference "
            "{input.reference:q} {params.settings} {params.options} --engine {output.engine[0]:q} --record "
            "{output.record:q} --log {log:q}"
