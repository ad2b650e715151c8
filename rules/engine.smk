# From ONNX to an engine. Needs the ONNX file of its precision; makes results/<model>/<target>/<model>.<precision>.*. There is
# one rule a runtime, build_<runtime>, whose files the traits of the runtime name.
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
            # The reference only judges the engine. `ancient`, because another reference changes no engine.
            reference=ancient("results/{model}/reference_outputs.npz") if runtime == "tensorrt" else [],
        output:
            engine=[update(f"results/{{model}}/{{target}}/{{model}}.{{precision}}{end}") for end in traits.suffixes],
            record=update("results/{model}/{target}/{model}.{precision}.engine.json"),
        wildcard_constraints:
            target=one_of(resolved.targets_of(runtime)),
        # A cluster gives a target's jobs one allocation; profiles/ name the other rules.
        group:
            lambda wildcards: None if hooks.runs_jobs_here() else "target"
        # TensorRT chooses its kernels by their speed.
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
