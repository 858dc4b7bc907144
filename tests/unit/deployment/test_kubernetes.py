"""The RayJob manifests keep to the fields and rules of KubeRay's CRD, and hold the run they start.

Fields and rules: ray-operator/apis/ray/v1/{rayjob,raycluster}_types.go and controllers/ray/utils/validation.go of
ray-project/kuberay, as of v1.6.
"""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from vr1_ray.config import load_config, recipe_runs
from vr1_ray.config.demand import num_gpus

ROOT = Path(__file__).parents[3]
MANIFESTS = sorted((ROOT / "examples/kubernetes").glob("*.yaml"))

JOB_FIELDS = {
    "entrypoint": str,
    "runtimeEnvYAML": str,
    "submissionMode": str,
    "shutdownAfterJobFinishes": bool,
    "ttlSecondsAfterFinished": int,
    "backoffLimit": int,
    "activeDeadlineSeconds": int,
    "rayClusterSpec": dict,
}
CLUSTER_FIELDS = {
    "rayVersion": str,
    "authOptions": dict,
    "enableInTreeAutoscaling": bool,
    "autoscalerOptions": dict,
    "headGroupSpec": dict,
    "workerGroupSpecs": list,
}
AUTOSCALER_FIELDS = {
    "version": str,
    "upscalingMode": str,
    "idleTimeoutSeconds": int,
    "resources": dict,
}
GROUP_FIELDS = {
    "groupName": str,
    "replicas": int,
    "minReplicas": int,
    "maxReplicas": int,
    "rayStartParams": dict,
    "template": dict,
}
HEAD_FIELDS = {"rayStartParams": dict, "template": dict}


@pytest.fixture(params=MANIFESTS, ids=lambda path: path.stem)
def manifest(request):
    return yaml.safe_load(request.param.read_text())


def cluster_of(manifest: dict) -> dict:
    return manifest["spec"]["rayClusterSpec"]


def groups_of(manifest: dict) -> dict[str, dict]:
    return {group["groupName"]: group for group in cluster_of(manifest)["workerGroupSpecs"]}


def pods_of(manifest: dict) -> list[dict]:
    head = cluster_of(manifest)["headGroupSpec"]
    return [group["template"]["spec"] for group in (head, *groups_of(manifest).values())]


def check_fields(where: str, given: dict, known: dict[str, type]) -> None:
    for key, value in given.items():
        assert key in known, f"{where}.{key} is no field that the CRD has"
        assert type(value) is known[key], f"{where}.{key} must be {known[key].__name__}"


def test_there_are_manifests_for_7b_and_72b():
    assert [path.stem for path in MANIFESTS] == ["rayjob_72b", "rayjob_7b"]


def test_every_field_is_one_of_the_crd_and_of_its_type(manifest):
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayJob")
    check_fields("spec", manifest["spec"], JOB_FIELDS)
    cluster = cluster_of(manifest)
    check_fields("rayClusterSpec", cluster, CLUSTER_FIELDS)
    check_fields("autoscalerOptions", cluster["autoscalerOptions"], AUTOSCALER_FIELDS)
    check_fields("headGroupSpec", cluster["headGroupSpec"], HEAD_FIELDS)
    for group in cluster["workerGroupSpecs"]:
        check_fields(group["groupName"], group, GROUP_FIELDS)
        assert {"groupName", "minReplicas", "maxReplicas", "template"} <= group.keys()


def test_the_name_is_a_dns_label_that_leaves_room_for_suffixes(manifest):
    name = manifest["metadata"]["name"]
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name) <= 47


def test_the_jobs_rules_hold(manifest):
    spec = manifest["spec"]
    assert spec["submissionMode"] in ("K8sJobMode", "HTTPMode", "SidecarMode")
    # A time to live needs the shutdown; retries need a new cluster, which rayClusterSpec gives.
    assert spec["shutdownAfterJobFinishes"] is True
    assert 0 < spec["ttlSecondsAfterFinished"] < 2**31
    assert spec["backoffLimit"] >= 0
    assert 0 < spec["activeDeadlineSeconds"] < 2**31
    environment = yaml.safe_load(spec["runtimeEnvYAML"])
    assert all(isinstance(value, str) for value in environment["env_vars"].values())


def test_trainers_are_fixed_and_rollouts_scale(manifest):
    groups = groups_of(manifest)
    assert groups.keys() == {"trainer", "rollout"}
    trainer, rollout = groups["trainer"], groups["rollout"]
    assert trainer["minReplicas"] == trainer["replicas"] == trainer["maxReplicas"]
    assert 0 < rollout["minReplicas"] <= rollout["replicas"] < rollout["maxReplicas"]
    cluster = cluster_of(manifest)
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["autoscalerOptions"]["upscalingMode"] in (
        "Default",
        "Aggressive",
        "Conservative",
    )


def test_ray_start_parameters_are_strings_and_nothing_is_set_twice(manifest):
    cluster = cluster_of(manifest)
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        assert "labels" not in group["rayStartParams"]
        assert "resources" not in group  # pods' limits say what a node has
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_ray_is_the_version_that_setup_py_pins(manifest):
    pinned = re.search(r'"ray\[default\]==([\d.]+)"', (ROOT / "setup.py").read_text()).group(1)
    assert cluster_of(manifest)["rayVersion"] == pinned


def test_nobody_reaches_the_cluster_without_a_token_and_a_stopped_run_has_the_time_to_save(
    manifest,
):
    assert cluster_of(manifest)["authOptions"] == {"mode": "token"}
    environment = yaml.safe_load(manifest["spec"]["runtimeEnvYAML"])["env_vars"]
    assert (
        int(environment["RAY_JOB_STOP_WAIT_TIME_S"]) >= 15 * 60
    )  # a step of 7B takes 14 minutes at most


def test_pods_run_one_image_unprivileged_with_a_store_that_fits(manifest):
    pods = pods_of(manifest)
    containers = [container for pod in pods for container in pod["containers"]]
    [image] = {container["image"] for container in containers}
    assert re.fullmatch(r"[\w./-]+:[\w.-]+", image)
    assert not image.endswith(":latest")
    for pod, container in zip(pods, containers, strict=True):
        assert container["securityContext"]["runAsNonRoot"] is True
        volumes = {volume["name"] for volume in pod["volumes"]}
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounts.keys() == volumes
        assert mounts["dshm"] == "/dev/shm"
        resources = container["resources"]
        assert resources["requests"]["memory"] == resources["limits"]["memory"]
        gpu = "nvidia.com/gpu"
        assert resources["requests"].get(gpu) == resources["limits"].get(gpu)


def test_rays_object_store_fits_its_shared_memory(manifest):
    for group in groups_of(manifest).values():
        store = int(group["rayStartParams"]["object-store-memory"])
        [shared] = [v for v in group["template"]["spec"]["volumes"] if v["name"] == "dshm"]
        assert store < int(shared["emptyDir"]["sizeLimit"].removesuffix("Gi")) * 2**30


def test_the_smallest_cluster_has_the_gpus_that_the_run_reserves(manifest):
    command = shlex.split(manifest["spec"]["entrypoint"])
    assert command[0] == "vr1"
    path = ROOT / Path(command[2]).relative_to("/opt/vr1_ray")
    config = load_config(path, command[3:])
    assert config.kind == command[1] or command[1] == "run"
    assert config.runs_folder.startswith("/shared/")
    runs = recipe_runs(config) if config.kind == "recipe" else [config]
    gpus = 0
    for group in groups_of(manifest).values():
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        gpus += group["minReplicas"] * int(limits["nvidia.com/gpu"])
    assert gpus == max(num_gpus(run) for run in runs)
    for run in runs:
        assert all(source.startswith("/shared/") for source in run.data.demonstrations)
