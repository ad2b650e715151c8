import re
from types import SimpleNamespace

import pytest
import yaml
from helpers.workplace import REPOSITORY

from slipway.core.errors import SlipwayError
from slipway.keys.config import complete
from slipway.keys.resolved_config import ResolvedConfig
from slipway.snakemake_hooks.cluster_resources import on_target, require_declared, require_image

DECLARED = {
    "runtime": "tensorrt",
    "hardware": "NVIDIA L4 (compute capability 8.9)",
    "tensorrt": {"version": "10.13.3.9", "cuda": "cu13"},
}


def config(**target):
    return complete({"models": {"m": {}}, "targets": {"l4": target}})


def test_a_target_that_declares_everything_is_submitted():
    require_declared(config(**DECLARED))
    require_declared(config(runtime="openvino", hardware="AMD EPYC [avx2] x8"))


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"runtime": "auto"}, "`runtime`"),
        ({"hardware": "auto"}, "`hardware`"),
        ({"tensorrt": {"version": "10.13.3.9"}}, "`tensorrt.cuda`"),
        ({"tensorrt": {}}, "`tensorrt.version` and `tensorrt.cuda`"),
    ],
)
def test_what_would_be_detected_on_the_login_node_is_refused(change, missing):
    with pytest.raises(SlipwayError, match="snakemake --cores 1 status") as refused:
        require_declared(config(**{**DECLARED, **change}))
    assert f"the target l4 leaves {missing} to be detected" in str(refused.value)


def test_the_common_tensorrt_declares_for_every_target():
    common = complete(
        {
            "models": {"m": {}},
            "targets": {"l4": {**DECLARED, "tensorrt": {}}},
            "tensorrt": {"version": "10.13.3.9", "cuda": "cu13"},
        }
    )
    require_declared(common)


def in_image(**target):
    return config(**target) | {"container": "docker://registry.example.com/slipway"}


def test_jobs_of_an_image_need_its_name():
    require_image(in_image(runtime="openvino"))
    with pytest.raises(SlipwayError, match="`container` names none"):
        require_image(config(runtime="openvino"))


def test_an_image_without_a_protocol_is_a_file(tmp_path):
    image = tmp_path / "slipway.sif"
    config_of_file = in_image(runtime="openvino") | {"container": str(image)}
    with pytest.raises(SlipwayError, match=r"slipway\.sif', which does not exist; .* write docker://"):
        require_image(config_of_file)
    image.touch()
    require_image(config_of_file)


def test_the_tensorrt_of_an_image_is_declared_unless_it_is_one_of_this_machine():
    require_image(in_image(**DECLARED))
    require_image(in_image(runtime="tensorrt", tensorrt={"python": "/shared/tensorrt/bin/python"}))
    with pytest.raises(SlipwayError, match=r"the target l4 leaves `tensorrt\.cuda` to be detected, .* in an image"):
        require_image(in_image(runtime="tensorrt", tensorrt={"version": "10.13.3.9"}))


def test_a_target_asks_for_what_it_declares_alone():
    requested = on_target(ResolvedConfig(config(**DECLARED, cluster={"gpu_model": "l4"})))
    assert requested == {"gpu": 1, "gpu_model": "l4", "gpu_manufacturer": "nvidia", "seat": 1}


def test_targets_that_request_different_resources_are_told_apart():
    targets = {"l4": {**DECLARED, "cluster": {"partition": "gpu"}}, "cpu": {"runtime": "openvino"}}
    requested = on_target(ResolvedConfig(complete({"models": {"m": {}}, "targets": targets})))
    assert requested.pop("seat") == 1
    values = {name: [of(SimpleNamespace(target=target)) for target in targets] for name, of in requested.items()}
    assert values == {"gpu": [1, None], "gpu_manufacturer": ["nvidia", None], "slurm_partition": ["gpu", None]}


@pytest.mark.parametrize("executor", ["slurm", "kubernetes"])
def test_a_profile_states_the_cores_of_each_job_that_would_take_those_of_the_login_node(executor):
    rules = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "rules").glob("*.smk"))
    greedy = {block.partition(":")[0] for block in re.split(r"^rule ", rules, flags=re.M) if "WHOLE_MACHINE\n" in block}
    assert "measure_capacity" in greedy
    profile = yaml.safe_load((REPOSITORY / "profiles" / executor / "profile.yaml").read_text(encoding="utf-8"))
    assert greedy | {"build_tensorrt"} == set(profile["set-threads"])
