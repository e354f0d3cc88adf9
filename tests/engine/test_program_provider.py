"""The local cloud as a provider: what it checks, changes, replaces, refuses, and keeps secret."""

import asyncio
import threading
import time
from pathlib import Path

import pulumi
import pulumi_gcp as gcp
import pytest

from cloudkite.accounts import local
from localcloud.provider.faults import name_of
from localcloud.provider.resources import registry
from tests.engine.programs import Programs, switched_on

pytestmark = pytest.mark.slow


@pytest.fixture
def programs(place, pulumi, tmp_path):
    return Programs(place, pulumi, tmp_path / "small")


def bucket(**inputs):
    """A program that makes one bucket, named after its project."""

    def program(opts):
        given = {"location": "us-central1", "uniform_bucket_level_access": True, **inputs}
        return gcp.storage.Bucket("box", opts=opts, **given)

    return program


def untyped(token, **inputs):
    """A program that declares a resource past the SDK's own checks."""

    def program(opts):
        pulumi.CustomResource(token, "thing", inputs, opts)

    return program


BUCKET = "gcp:storage/bucket:Bucket"
SERVICE = "gcp:projects/service:Service"
WRONG = [
    (
        BUCKET,
        {"location": "US", "versioning": {"enabled": "yes"}, "colour": "red"},
        ['versioning.enabled is "yes"; a boolean is needed', "colour isn't a property; known are autoclass, cors,"],
    ),
    (
        BUCKET,
        {"location": "US", "autoclass": {"enabled": True}},
        ["autoclass is not emulated by the local cloud"],
    ),
    (
        "gcp:compute/instance:Instance",
        {"machineType": "n1-standard-1"},
        ["the local cloud does not have gcp:compute/instance:Instance; of gcp:compute it has no kind of it"],
    ),
    (
        "gcp:storage/hmacKey:HmacKey",
        {},
        [
            "the local cloud does not have gcp:storage/hmacKey:HmacKey; of gcp:storage it has "
            "gcp:storage/bucket:Bucket, gcp:storage/bucketIAMMember:BucketIAMMember"
        ],
    ),
]


def test_wrong_inputs_and_unknown_kinds_are_named(programs):
    """That the engine shows them; tests/unit/test_provider_schema.py has all the ways in which inputs can be wrong."""
    for token, inputs, messages in WRONG:
        told = programs.up(untyped(token, **inputs))
        for message in messages:
            assert any(message in error for error in told.errors), told.errors
    assert "thing" not in programs.resources()


def test_a_bucket_lives(programs):
    """Made, found by a storage client, changed, drifted, put right, replaced, and taken away."""
    storage = programs.place.target.storage()
    first = programs.up(bucket(labels={"team": "blue"}), default_labels={"managed-by": "tests"})
    assert first.errors == []
    name = programs.resources()["box"]["id"]
    assert name.startswith("box-")  # the program named nothing
    made = storage.get_bucket(name)
    assert made.labels == {"team": "blue", "managed-by": "tests"}
    assert made.location == "US-CENTRAL1"

    assert programs.up(bucket(labels={"team": "blue"}), default_labels={"managed-by": "tests"}).counts == {}
    changed = programs.up(bucket(labels={"team": "red"}), default_labels={"managed-by": "tests"})
    assert changed.steps == [("update", "box")]
    assert storage.get_bucket(name).labels == {"team": "red", "managed-by": "tests"}

    made = storage.get_bucket(name)
    made.versioning_enabled = True
    made.labels = {"team": "green", "managed-by": "tests"}
    made.patch()
    assert ("refresh", "box") in programs.refresh().steps
    mended = programs.up(bucket(labels={"team": "red"}), default_labels={"managed-by": "tests"})
    assert mended.steps == [("update", "box")]
    assert storage.get_bucket(name).labels == {"team": "red", "managed-by": "tests"}

    moved = programs.up(bucket(labels={"team": "red"}, location="europe-west4"))
    assert [op for op, _ in moved.steps if op != "replace"] == ["delete-replaced", "create-replacement"] or {
        op for op, _ in moved.steps
    } >= {"create-replacement", "delete-replaced"}
    assert storage.get_bucket(programs.resources()["box"]["id"]).location == "EUROPE-WEST4"

    storage.bucket(programs.resources()["box"]["id"]).blob("a").upload_from_string("content")
    refused = programs.up(lambda opts: None)
    assert any("Error 409: The bucket you tried to delete is not empty., conflict" in e for e in refused.errors)
    assert programs.up(bucket(labels={"team": "red"}, location="europe-west4", force_destroy=True)).errors == []
    assert programs.up(lambda opts: None).errors == []
    assert not storage.lookup_bucket(programs.state and name)


def test_a_bucket_that_somebody_else_deleted_is_made_again(programs):
    program = bucket(name=f"{programs.place.account.project}-gone")
    programs.up(program)
    programs.place.target.storage().get_bucket(f"{programs.place.account.project}-gone").delete()
    programs.refresh()
    assert programs.up(program).steps == [("create", "box")]


def test_days_of_zero_are_sent_when_the_program_says_so(programs):
    """As terraform-provider-google does it; what the API has no word for is no difference, whatever was read."""
    conditions = [
        {"age": 0, "send_age_if_zero": True},
        {"send_days_since_noncurrent_time_if_zero": True, "with_state": "ARCHIVED"},
        {"num_newer_versions": 0, "send_num_newer_versions_if_zero": True, "with_state": "ANY"},
        {"days_since_custom_time": 0, "send_days_since_custom_time_if_zero": True, "matches_prefixes": ["a"]},
        {"age": 0, "send_age_if_zero": False, "num_newer_versions": 3, "created_before": "", "matches_suffixes": []},
        {"days_since_noncurrent_time": 7, "send_days_since_noncurrent_time_if_zero": True, "with_state": "LIVE"},
    ]
    program = bucket(
        name=f"{programs.place.account.project}-zero",
        lifecycle_rules=[{"action": {"type": "Delete"}, "condition": condition} for condition in conditions],
    )
    assert programs.up(program).errors == []
    made = programs.place.target.storage().get_bucket(f"{programs.place.account.project}-zero")
    assert [dict(rule["condition"]) for rule in made.lifecycle_rules] == [
        {"age": 0},
        {"daysSinceNoncurrentTime": 0, "isLive": False},
        {"numNewerVersions": 0},
        {"daysSinceCustomTime": 0, "matchesPrefix": ["a"]},
        {"numNewerVersions": 3},
        {"daysSinceNoncurrentTime": 7, "isLive": True},
    ]
    assert programs.up(program).counts == {}
    assert {op for op, _ in programs.refresh().steps} <= {"refresh"}
    assert programs.up(program).counts == {}

    made.lifecycle_rules = [{"action": {"type": "Delete"}, "condition": {"age": 1}}, *list(made.lifecycle_rules)[1:]]
    made.patch()
    programs.refresh()
    assert programs.up(program).steps == [("update", "box")]
    made.reload()
    assert next(iter(made.lifecycle_rules))["condition"] == {"age": 0}

    told = programs.up(bucket(lifecycle_rules=[{"action": {"type": "Delete"}, "condition": {"age": 0}}]))
    assert any("Error 400: Lifecycle rules must have a condition." in error for error in told.errors), told.errors


def test_names_that_are_taken_are_refused_as_google_does(programs):
    name = f"{programs.place.account.project}-taken"
    programs.place.target.storage().create_bucket(name, location="us-central1")
    told = programs.up(bucket(name=name))
    assert any(
        "googleapi: Error 409: Your previous request to create the named bucket succeeded" in e for e in told.errors
    )


def test_an_api_that_is_off_refuses(programs):
    def program(opts):
        gcp.artifactregistry.Repository(
            "images", repository_id="images", format="DOCKER", location="us-central1", opts=opts
        )

    told = programs.up(program)
    assert any("Error 403: Artifact Registry API has not been used in project" in error for error in told.errors)


def test_in_a_fresh_project_apis_take_a_while_and_are_read_through_resource_manager(space, describe, pulumi, tmp_path):
    fresh = Programs(describe(space, fresh=True), pulumi, tmp_path / "fresh")

    def program(opts):
        for name in ("cloudresourcemanager", "artifactregistry"):
            gcp.projects.Service(name, service=f"{name}.googleapis.com", disable_on_destroy=False, opts=opts)

    # To read which APIs are on, the provider asks Resource Manager, and does not ask again while that is off.
    first = fresh.up(program)
    assert any("Error 403: Cloud Resource Manager API has not been used in project" in error for error in first.errors)
    tries = 1
    while fresh.refresh().errors or fresh.up(program).errors:
        tries += 1
        assert tries <= 6
    assert fresh.up(program).steps == []
    assert set(fresh.resources()) >= {"cloudresourcemanager", "artifactregistry"}


def test_an_account_that_is_not_there_gets_no_role(programs):
    project = programs.place.account.project

    def program(opts):
        gcp.projects.IAMMember(
            "ghost",
            project=project,
            role="roles/viewer",
            member=f"serviceAccount:ghost@{project}.iam.gserviceaccount.com",
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=switched_on(opts))),
        )

    [error] = [error for error in programs.up(program).errors if "ghost" in error]
    assert f"Error 400: Service account ghost@{project}.iam.gserviceaccount.com does not exist." in error


def test_all_other_kinds_live(programs):
    """Those that `infra` has no use for, or uses in one way only: made, unchanged, changed, refreshed, taken away."""
    project = programs.place.account.project

    def program(opts, word="one", log_bucket="mine"):
        def after(*resources):
            return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[*apis, *resources]))

        first = switched_on(opts, "artifactregistry", disable_on_destroy=False)
        read = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=first))
        apis = [*first, gcp.projects.Service("iam", service="iam.googleapis.com", disable_on_destroy=True, opts=read)]
        account = gcp.serviceaccount.Account(
            "robot", account_id="robot-1", display_name=word, disabled=word == "two", opts=after()
        )
        role = gcp.projects.IAMCustomRole(
            "role", role_id="looker", title=word, permissions=["storage.buckets.get"], opts=after()
        )
        gcp.projects.IAMMember("has-role", project=project, role=role.name, member=account.member, opts=after())
        gcp.serviceaccount.IAMMember(
            "acts",
            service_account_id=account.name,
            role="roles/iam.serviceAccountUser",
            member="user:me@example.com",
            condition={"title": "soon over", "expression": "request.time < timestamp('2027-01-01T00:00:00Z')"},
            opts=after(),
        )
        repository = gcp.artifactregistry.Repository(
            "images", repository_id="images", format="DOCKER", location="us-central1", description=word, opts=after()
        )
        gcp.artifactregistry.RepositoryIamMember(
            "reads",
            repository=repository.name,
            location="us-central1",
            role="roles/artifactregistry.reader",
            member=account.member,
            opts=after(),
        )
        logs = gcp.logging.ProjectBucketConfig(
            "log-bucket", project=project, location="us-central1", bucket_id=log_bucket, description=word, opts=after()
        )
        gcp.logging.ProjectSink(
            "sink",
            name="to-mine",
            destination=pulumi.Output.concat("logging.googleapis.com/", logs.id),
            filter=f'labels.word="{word}"',
            unique_writer_identity=True,
            opts=after(),
        )
        gcp.logging.Metric(
            "metric",
            name="words",
            filter=f'labels.word="{word}"',
            metric_descriptor={"metric_kind": "DELTA", "value_type": "INT64"},
            opts=after(),
        )

    first = programs.up(program)
    assert first.errors == []
    assert programs.up(program).steps == []
    assert {op for op, _ in programs.refresh().steps} <= {"refresh"}
    assert programs.up(program).steps == []
    second = programs.up(lambda opts: program(opts, "two"))
    assert second.errors == []
    assert dict.fromkeys(name for _, name in second.steps) == dict.fromkeys(
        name for op, name in second.steps if op == "update"
    )
    assert {name for _, name in second.steps} == {"robot", "role", "images", "log-bucket", "sink", "metric"}
    assert programs.up(lambda opts: program(opts, "two")).counts == {}
    gone = programs.destroy()
    assert gone.errors == []
    again = programs.up(program)  # a deleted role's id can't be used again: it is taken up; a log bucket's isn't
    refusal = "googleapi: Error 400: Buckets must be in an ACTIVE state to be modified, FAILED_PRECONDITION"
    assert again.errors == [refusal, "update failed"]
    assert programs.up(lambda opts: program(opts, log_bucket="mine-again")).errors == []


def test_secrets_are_not_in_plain_text(programs):
    def program(opts):
        secret = pulumi.Output.secret("hush-hush-hush")
        made = gcp.storage.Bucket("box", location="us-central1", labels={"password": secret}, opts=opts)
        pulumi.export("labels", made.effective_labels)

    assert programs.up(program).errors == []
    text = programs.plain_state()
    assert "hush-hush-hush" not in text
    assert programs.token not in text
    assert programs.up(program).counts == {}
    assert programs.refresh().errors == []
    assert "hush-hush-hush" not in programs.plain_state()
    [name] = [row["id"] for row in programs.resources().values() if row["type"] == BUCKET]
    assert programs.place.target.storage().get_bucket(name).labels == {"password": "hush-hush-hush"}


def test_a_name_that_has_a_labels_value_in_it_stays_plain(programs):
    """The SDK makes all that the provider adds to the labels a secret; the name is none by that."""

    def program(opts):
        made = gcp.storage.Bucket(
            "box", name="a-box-of-tools", location="us-central1", labels={"kind": "tools"}, opts=opts
        )
        pulumi.export("name", made.name)

    assert programs.up(program).outputs == {"name": "a-box-of-tools"}
    assert programs.refresh().errors == []
    assert programs.up(program).outputs == {"name": "a-box-of-tools"}


@pytest.mark.parametrize("token", [None, "", "ya29.somebody-elses"])
def test_foreign_tokens_are_refused(programs, token):
    def program():
        provider = gcp.Provider("gcp", project=programs.place.account.project, access_token=token)
        gcp.storage.Bucket("box", location="us-central1", opts=pulumi.ResourceOptions(provider=provider))

    told = programs.run(program)
    assert any("the local cloud takes only accounts of its own" in error for error in told.errors), told.errors


def test_a_key_file_signs_in_by_its_content_and_never_by_its_path(programs):
    path = Path(programs.place.target.environment["GOOGLE_APPLICATION_CREDENTIALS"])

    def program(credentials):
        provider = gcp.Provider("gcp", project=programs.place.account.project, credentials=credentials)
        return lambda: gcp.storage.Bucket("box", location="us-central1", opts=pulumi.ResourceOptions(provider=provider))

    for foreign in (str(path), "{}", '{"client_email": "x", "private_key": "y", "private_key_id": "z"}'):
        told = programs.run(lambda text=foreign: program(text)())
        assert any("the local cloud takes only accounts of its own" in error for error in told.errors), told.errors
    told = programs.run(lambda: program(path.read_text(encoding="utf-8"))())
    assert told.errors == [] and told.steps == [("update", "gcp"), ("create", "box")]


def test_an_engine_that_ends_before_its_program_leaves_the_loop_to_it(programs):
    """A failed provider ends the engine, which waits for no program: the thread of that is in Pulumi's own clean-up
    then, between two runs of the loop. Nobody else may run it there. The two are made to meet.
    """
    cleaning, over, closed = threading.Event(), threading.Event(), threading.Event()
    host: list[threading.Thread] = []

    def program():
        loop = asyncio.get_running_loop()
        host.append(threading.current_thread())
        run, handle, close = loop.run_until_complete, loop.set_exception_handler, loop.close

        def cleaned(future):
            if not cleaning.is_set():
                cleaning.set()
                over.wait(60)
            return run(future)

        def handled(handler):
            if threading.current_thread() not in host:  # somebody else begins to close it
                over.set()
                for _ in range(5000):
                    if loop.is_running():
                        break
                    time.sleep(0.001)
            handle(handler)

        def ended():
            close()
            closed.set()

        loop.run_until_complete, loop.set_exception_handler, loop.close = cleaned, handled, ended
        provider = gcp.Provider("gcp", project=programs.place.account.project, credentials="{}")
        gcp.storage.Bucket("box", location="us-central1", opts=pulumi.ResourceOptions(provider=provider))

    told = programs.run(program)
    assert cleaning.wait(60) and not closed.is_set()  # the engine may have ended before the program came so far
    over.set()
    assert any("the local cloud takes only accounts of its own" in error for error in told.errors), told.errors
    assert closed.wait(60)
    assert programs.up(bucket()).errors == []


def test_in_the_project_of_others_an_account_may_do_what_it_was_granted(programs, describe):
    other = describe(programs.place.space).account.project
    told = programs.up(bucket(), project=other)
    assert any("does not have storage.buckets.create access to the Google Cloud project" in e for e in told.errors)


def test_functions(programs):
    project = programs.place.account.project

    def program(opts):
        after = pulumi.InvokeOutputOptions(provider=opts.provider, depends_on=switched_on(opts, "cloudquotas"))
        pulumi.export("number", gcp.organizations.get_project_output(project_id=project, opts=after).number)
        payer = gcp.organizations.get_billing_account_output(billing_account="012345-6789AB-CDEF01", opts=after)
        pulumi.export("currency", payer.currency_code if hasattr(payer, "currency_code") else payer.open)
        info = gcp.cloudquota.get_s_quota_info_output(
            parent=f"projects/{project}",
            service="aiplatform.googleapis.com",
            quota_id="CustomModelTrainingT4GPUsPerProjectPerRegion",
            opts=after,
        )
        pulumi.export("metric", info.metric)

    # The API that is turned on first is slow.
    local.run(programs.place.space, "fault", name_of(SERVICE, "create"), "--delay", "0.5")
    told = programs.up(program)
    assert told.errors == []
    assert told.outputs["number"].isdigit()
    assert told.outputs["metric"] == "aiplatform.googleapis.com/custom_model_training_nvidia_t4_gpus"

    def unknown(opts):
        pulumi.runtime.invoke("gcp:compute/getImage:getImage", {}, pulumi.InvokeOptions(provider=opts.provider))

    [error, *_] = programs.up(unknown).errors
    assert "the local cloud has no function gcp:compute/getImage:getImage; it has gcp:cloudquota/" in error


def test_two_accounts_at_the_same_time_do_not_mix(programs, space, pulumi, tmp_path):
    """The same servicer answers both engines; each resource must be in its own account's project."""
    from cloudkite.accounts import registry, target
    from cloudkite.workspace import CLONE
    from tests.engine.conftest import Place

    text = (CLONE / "infra" / "Pulumi.local.yaml").read_text(encoding="utf-8")
    (space.accounts / "Pulumi.twin.yaml").write_text(
        text.replace("cloudkite-local", "cloudkite-twin"), encoding="utf-8"
    )
    account = registry.load(space, "twin")
    twin = Programs(Place(space, account, target.connect(space, account)), pulumi, tmp_path / "twin")

    def many(opts):
        for number in range(20):
            gcp.storage.Bucket(f"box-{number}", location="us-central1", opts=opts)

    told = {}
    both = [
        threading.Thread(target=lambda one=one: told.setdefault(one.place.account.project, one.up(many)))
        for one in (programs, twin)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    for one in (programs, twin):
        assert told[one.place.account.project].errors == []
        names = {row["id"] for row in one.resources().values() if row["type"] == BUCKET}
        assert len(names) == 20
        assert {b.name for b in one.place.target.storage().list_buckets()} >= names
        assert one.up(many).counts == {}


def test_every_kind_of_infra_is_there(place):
    place.up()
    used = {resource.type for resource in place.left()}
    assert used <= set(registry.KINDS)
