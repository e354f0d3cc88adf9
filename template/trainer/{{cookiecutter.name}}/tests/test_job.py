"""What a run is told by the platform, and what it tells."""

import json

import pytest

from trainer.kit import job

SPEC = {
    "cluster": {"workerpool0": ["a-0:2222"], "workerpool1": ["b-0:2222", "b-1:2222"], "workerpool2": ["c-0:2222"]},
    "environment": "cloud",
    "task": {"type": "workerpool1", "index": 1},
}


def test_alone_on_a_laptop():
    this = job.read("out", {})
    assert (this.model_dir, this.worker, this.workers, this.chief, this.cloud) == ("out/model", 0, 1, True, False)


def test_places_that_vertex_ai_names():
    env = {"AIP_MODEL_DIR": "gs://b/model/", "AIP_CHECKPOINT_DIR": "gs://b/checkpoints/", "CLOUD_ML_JOB_ID": "1"}
    this = job.read("out", env)
    assert (this.model_dir, this.checkpoint_dir, this.log_dir) == ("gs://b/model", "gs://b/checkpoints", "out/logs")
    assert this.cloud


def test_several_workers_by_cluster_spec():
    env = {"CLUSTER_SPEC": json.dumps(SPEC)}
    this = job.read("out", env)
    assert (this.worker, this.workers, this.chief) == (2, 3, False)
    assert json.loads(env["TF_CONFIG"]) == {
        "cluster": {"chief": ["a-0:2222"], "worker": ["b-0:2222", "b-1:2222"]},
        "task": {"type": "worker", "index": 1},
    }


def test_a_single_worker_by_cluster_spec():
    alone = {"cluster": {"workerpool0": ["a-0:2222"]}, "task": {"type": "workerpool0", "index": 0}}
    env = {"CLUSTER_SPEC": json.dumps(alone)}
    assert job.read("out", env).workers == 1
    assert "TF_CONFIG" not in env


def test_one_json_object_a_line_in_the_cloud(capsys):
    job.read("out", {"CLOUD_ML_JOB_ID": "1"}).say("epoch 1/2", epoch=1, epochs=2, metrics={"loss": 0.5})
    assert json.loads(capsys.readouterr().out) == {
        "severity": "INFO", "message": "epoch 1/2", "epoch": 1, "epochs": 2, "metrics": {"loss": 0.5},
    }  # fmt: skip


def test_metrics_for_the_tuning_service(tmp_path):
    path = tmp_path / "hypertune" / "output.metrics"
    env = {"CLOUD_ML_HP_METRIC_FILE": str(path), "CLOUD_ML_TRIAL_ID": "7"}
    for step in range(1, 61):
        job.read("out", env).report({"accuracy": 0.9, "loss": 0.1}, step, env)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 100
    assert lines[-2]["accuracy"] == "0.9"
    assert (lines[-1]["trial"], lines[-1]["global_step"], lines[-1]["checkpoint_path"]) == ("7", "60", "")


@pytest.mark.parametrize("broken", ["{", "[]", '{"cluster": 3}', '{"task": {"index": "x"}}'])
@pytest.mark.parametrize("name", ["TF_CONFIG", "CLUSTER_SPEC"])
def test_a_broken_cluster_is_a_message(name, broken):
    with pytest.raises(job.Mistake, match=f"{name} isn't what a training service sets"):
        job.read("out", {name: broken})
