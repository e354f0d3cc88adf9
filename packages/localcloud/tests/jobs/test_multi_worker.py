"""One training by two machines: TensorFlow's own strategy finds its cluster by what Vertex AI tells each replica."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog import images
from clouds import ENVS, PROJECT, LocalCloud
from localcloud import launch

# Each worker has one example of y = 2x, and all take one step on both: the gradient of the sum of squares at w = 1 is
# 2 * (w - 2) * (1 + 4) = -10.
TRAINER = """
import json, os
import tensorflow as tf

config, cluster = (json.loads(os.environ[name]) for name in ("TF_CONFIG", "CLUSTER_SPEC"))
strategy = tf.distribute.MultiWorkerMirroredStrategy()
rank = strategy.cluster_resolver.task_id + (strategy.cluster_resolver.task_type == "worker")
with strategy.scope():
    weight = tf.Variable(1.0)

@tf.function
def step(x, y):
    def in_replica(x, y):
        with tf.GradientTape() as tape:
            loss = (weight * x - y) ** 2
        gradient = tape.gradient(loss, weight)
        total = tf.distribute.get_replica_context().all_reduce("sum", gradient)
        weight.assign_sub(0.05 * total)
        return gradient, total
    return strategy.run(in_replica, (x, y))

x = tf.constant(rank + 1.0)
own, total = step(x, 2 * x)
print(json.dumps({
    "replicas": strategy.num_replicas_in_sync, "own": float(own), "total": float(total),
    "weight": float(weight.numpy()),
    "config": config["cluster"], "task": config["task"], "spec": cluster["cluster"], "place": cluster["task"],
}), flush=True)
step(x, 2 * x)  # nobody leaves before the other has told
"""


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    """A server with the environments of this checkout: they are built once."""
    root = tmp_path / "own"
    launch.start(root, ENVS, [PROJECT])
    made = LocalCloud(root, PROJECT)
    made.enable("aiplatform")
    with made.session() as session:
        buckets = f"https://storage.googleapis.com/storage/v1/b?project={PROJECT}"
        assert session.post(buckets, json={"name": "staging-of-two", "location": "us-central1"}).ok
    yield made
    launch.stop(root)


@pytest.mark.slow
def test_two_workers_take_a_step_together(cloud: LocalCloud) -> None:
    job = cloud.run(
        f"""
        import time
        from google.cloud import aiplatform

        aiplatform.init(project="{PROJECT}", location="us-central1", staging_bucket="gs://staging-of-two")
        pool = {{
            "machine_spec": {{"machine_type": "n1-standard-4"}},
            "replica_count": 1,
            "container_spec": {{"image_uri": "{images.DEFAULT_CPU}", "command": ["python", "-c", {TRAINER!r}]}},
        }}
        job = aiplatform.CustomJob(display_name="together", worker_pool_specs=[pool, pool])
        job.submit(timeout=600)
        while not job.done():
            time.sleep(0.2)
        assert job.state.name == "JOB_STATE_SUCCEEDED", job.error
        print("job", job.name)
        """,
        timeout=600,
    ).stdout.split()[-1]
    request = {
        "resourceNames": [f"projects/{PROJECT}"],
        "filter": f'resource.labels.job_id="{job}" AND jsonPayload.replicas=2',
        "orderBy": "timestamp asc",
    }
    with cloud.session() as session:
        entries = session.post("https://logging.googleapis.com/v2/entries:list", json=request).json()["entries"]
    told = {entry["resource"]["labels"]["task_name"]: entry["jsonPayload"] for entry in entries}
    chief, worker = told.pop("workerpool0-0"), told.pop("workerpool1-0")
    assert not told
    assert (chief["own"], worker["own"]) == (-2, -8)
    for one in (chief, worker):
        assert (one["total"], one["weight"]) == (-10, 1.5)
        [first], [second] = one["config"]["chief"], one["config"]["worker"]
        assert one["spec"] == {"workerpool0": [first], "workerpool1": [second]} == chief["spec"] and first != second
    assert [(one["task"]["type"], one["task"]["index"]) for one in (chief, worker)] == [("chief", 0), ("worker", 0)]
    assert [one["place"] for one in (chief, worker)] == [
        {"type": "workerpool0", "index": 0},
        {"type": "workerpool1", "index": 0},
    ]
    assert json.dumps(chief["config"]) == json.dumps(worker["config"])
