# Makes the environment that serves inside the one of slipway.yaml, for `snakemake --sdm conda`, which copies this file alone;
# `make lock` writes the versions.
set -e
packages="flatbuffers==25.12.19 mpmath==1.3.0 numpy==1.26.4 onnxruntime==1.24.4 openvino-telemetry==2025.2.0 openvino==2026.4.1 packaging==26.4 protobuf==7.36.2 sympy==1.14.0"
programs="nvidia-pytriton==0.7.0 tritonclient==2.51.0"
python -m venv "$CONDA_PREFIX/serving"
"$CONDA_PREFIX/serving/bin/python" -m pip install $packages
"$CONDA_PREFIX/serving/bin/python" -m pip install --no-deps --target "$CONDA_PREFIX/serving/triton" $programs
