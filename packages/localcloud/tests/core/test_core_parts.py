"""Routes, documents and policies: the small parts that all APIs stand on."""

from __future__ import annotations

import asyncio
import time

import pytest

from localcloud.apis import assemble
from localcloud.core.cloud import Cloud
from localcloud.core.errors import ApiError, NotEmulated
from localcloud.core.paging import page
from localcloud.core.ports import Ports
from localcloud.core.state.documents import Documents, apply_mask
from localcloud.iam import policies
from localcloud.iam.store import Iam
from localcloud.identity.tokens import Tokens
from localcloud.projects.store import Projects
from localcloud.transport.rest import Router


@pytest.fixture
def cloud(tmp_path) -> Cloud:
    made = assemble(tmp_path / "root", tmp_path / "envs", Ports(1, 2, 3, 4, 5))
    made.of(Projects).create("test-project", payer="billingAccounts/012345-6789AB-CDEF01")
    return made


ROUTES = [
    ("/v1/{name=projects/*/roles/*}", "/v1/projects/p/roles/r", {"name": "projects/p/roles/r"}),
    ("/v1/{name=projects/*/roles/*}", "/v1/projects/p/roles/r/more", None),
    ("/v1/projects/{project}/things/{x}", "/v1/projects/p/things/a%40b%2Fc", {"project": "p", "x": "a@b/c"}),
    ("/v1/projects/{project}/things/{x}", "/v1/projects/p/things/", None),
    ("/v1/projects/{project}/things/{x}", "/v1/projects/p/things/x:verb", None),
    ("/v1/projects/{project}:verb", "/v1/projects/p:verb", {"project": "p"}),
    ("/v1/projects/{project}:verb", "/v1/projects/p%3Averb", {"project": "p"}),
    ("/v1/projects/{project}:verb", "/v1/projects/p:verbose", None),
    ("/v2/{name=**}:act", "/v2/a/b:c/d:act", {"name": "a/b:c/d"}),
    ("/v2/{name=**}", "/v2/", None),
    ("/v1/a.b", "/v1/axb", None),
]


@pytest.mark.parametrize(("pattern", "path", "params"), ROUTES)
def test_patterns(cloud, pattern, path, params):
    router = Router()

    @router.route("GET", pattern)
    async def give(call):
        return dict(call.params)

    answer = router.dispatch(cloud, None, "GET", path, host="x.googleapis.com")  # type: ignore[arg-type]
    if params is not None:
        assert asyncio.run(answer) == params
    else:
        with pytest.raises(NotEmulated, match=r"^not emulated by the local cloud: GET x\.googleapis\.com/"):
            asyncio.run(answer)


@pytest.mark.parametrize(
    ("mask", "result"),
    [
        (None, {"a": 9, "b": {"c": 9}, "d": 4}),
        ("*", {"a": 9, "b": {"c": 9}, "d": 4}),
        ("a", {"a": 9, "b": {"c": 2, "snakeCase": 3}, "d": 4}),
        ("b.c", {"a": 1, "b": {"c": 9, "snakeCase": 3}, "d": 4}),
        ("b.snake_case, d", {"a": 1, "b": {"c": 2}}),
        (["d"], {"a": 1, "b": {"c": 2, "snakeCase": 3}}),
        ("b.x.y", {"a": 1, "b": {"c": 2, "snakeCase": 3, "x": {}}, "d": 4}),
    ],
)
def test_masks(mask, result):
    body = {"a": 1, "b": {"c": 2, "snakeCase": 3}, "d": 4}
    assert apply_mask(body, {"a": 9, "b": {"c": 9}}, mask) == result


def test_documents_are_durable_and_found_by_kind_and_prefix(tmp_path):
    path = tmp_path / "documents.sqlite"
    first = Documents(path)
    first.create("projects/p/x/1", "x", {"n": 1})
    first.create("projects/q/x/2", "x", {"n": 2})
    first.create("projects/p/y/3", "y", {"n": 3})
    with pytest.raises(ApiError) as twice:
        first.create("projects/p/x/1", "x", {})
    assert (twice.value.code, twice.value.status) == (409, "ALREADY_EXISTS")
    second = Documents(path)  # another connection sees what was acknowledged, without the first being closed
    assert second.list("x") == [{"n": 1}, {"n": 2}]
    assert second.list("x", "projects/p/") == [{"n": 1}]
    assert second.counts() == {"x": 2, "y": 1}
    assert second.patch("projects/p/x/1", {"m": 5}) == {"n": 1, "m": 5}
    assert first.delete("projects/p/x/1") == {"n": 1, "m": 5}
    for missing in (first.get, first.delete):
        with pytest.raises(ApiError) as gone:
            missing("projects/p/x/1")
        assert (gone.value.code, gone.value.status) == (404, "NOT_FOUND")
    first.close()
    second.close()


@pytest.mark.parametrize(("size", "token", "names", "following"), [("", "", "abc", ""), ("2", "", "ab", "2")])
def test_pages(size, token, names, following):
    answer = page("items", list("abc"), {"pageSize": size, "pageToken": token})
    assert ("".join(answer["items"]), answer.get("nextPageToken", "")) == (names, following)


@pytest.mark.parametrize("query", [{"pageSize": "x"}, {"pageSize": "-1"}, {"pageToken": "nonsense"}])
def test_pages_that_cannot_be(query):
    with pytest.raises(ApiError):
        page("items", [], query)


def test_members_come_and_go(cloud):
    iam, resource = cloud.of(Iam), "buckets/b"
    condition = {"title": "t", "expression": "true"}
    iam.add_member(resource, "roles/storage.objectViewer", "user:a@example.com")
    iam.add_member(resource, "roles/storage.objectViewer", "user:b@example.com")
    again = iam.add_member(resource, "roles/storage.objectViewer", "user:a@example.com")
    assert again["bindings"] == [
        {"role": "roles/storage.objectViewer", "members": ["user:a@example.com", "user:b@example.com"]}
    ]
    with_condition = iam.add_member(resource, "roles/storage.objectViewer", "user:a@example.com", condition)
    assert with_condition["version"] == 3 and len(with_condition["bindings"]) == 2
    iam.remove_member(resource, "roles/storage.objectViewer", "user:a@example.com")
    left = iam.remove_member(resource, "roles/storage.objectViewer", "user:b@example.com")
    assert left["bindings"] == [
        {"role": "roles/storage.objectViewer", "members": ["user:a@example.com"], "condition": condition}
    ]
    iam.remove_member(resource, "roles/nobody", "user:b@example.com")
    iam.forget_policy(resource)
    assert iam.get_policy(resource) == policies.EMPTY


def test_etags_guard_against_lost_updates(cloud):
    read = cloud.of(Iam).get_policy("projects/test-project")
    cloud.of(Iam).set_policy("projects/test-project", read)
    with pytest.raises(ApiError) as stale:
        cloud.of(Iam).set_policy("projects/test-project", read)
    assert (stale.value.code, stale.value.status) == (409, "ABORTED")
    present = cloud.of(Iam).get_policy("projects/test-project")
    urlsafe = present["etag"].replace("+", "-").replace("/", "_").rstrip("=")
    assert cloud.of(Iam).set_policy("projects/test-project", present | {"etag": urlsafe})
    for bad in ("x", "not base64!"):
        with pytest.raises(ApiError):
            cloud.of(Iam).set_policy("projects/test-project", present | {"etag": bad})


def test_a_deleted_account_is_named_as_deleted(cloud):
    account = cloud.of(Iam).create_service_account("test-project", "leaving")
    cloud.of(Iam).add_member("projects/test-project", "roles/viewer", f"serviceAccount:{account['email']}")
    cloud.of(Iam).delete_service_account(account["email"])
    members = policies.members_of(cloud.of(Iam).get_policy("projects/test-project"))
    assert f"deleted:serviceAccount:{account['email']}?uid={account['uniqueId']}" in members
    assert f"serviceAccount:{account['email']}" not in members


def test_agents_and_default_accounts(cloud):
    number = cloud.of(Projects).get("test-project")["projectNumber"]
    agent = cloud.of(Iam).service_agent("test-project", "gcp-sa-aiplatform-cc")
    assert agent == f"service-{number}@gcp-sa-aiplatform-cc.iam.gserviceaccount.com"
    assert cloud.of(Tokens).verify(cloud.of(Tokens).mint(agent)).email == agent
    cloud.of(Projects).enable("test-project", "compute.googleapis.com")
    emails = [account["email"] for account in cloud.of(Iam).list_service_accounts("test-project")]
    assert emails == [f"{number}-compute@developer.gserviceaccount.com", cloud.of(Iam).owner("test-project")]


def test_hooks_run_once_each_and_none_stops_another(cloud, caplog):
    ran: list[str] = []

    def hook(name):
        async def run():
            ran.append(name)
            if name == "bad":
                raise RuntimeError(name)

        return run

    async def life():
        cloud.on_start(hook("early"))
        await cloud.started()
        cloud.on_start(hook("late"))
        cloud.on_stop(hook("bad"))
        cloud.on_stop(hook("good"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await cloud.stopped()

    asyncio.run(life())
    assert ran == ["early", "late", "bad", "good"]
    assert "a stop hook failed" in caplog.text


def test_a_part_that_a_request_makes_begins_when_it_and_all_that_it_is_part_of_are_whole(cloud):
    seen: list[bool] = []

    class Inner:
        def __init__(self, cloud: Cloud) -> None:
            cloud.on_start(self._start)

        async def _start(self) -> None:
            seen.append(hasattr(self, "whole") and hasattr(cloud.of(Outer), "whole"))

    class Outer:
        def __init__(self, cloud: Cloud) -> None:
            cloud.of(Inner)
            time.sleep(0.05)  # long enough for the loop to run what was told to begin
            cloud.of(Inner).whole = self.whole = True  # type: ignore[attr-defined]

    async def life():
        await cloud.started()
        await asyncio.to_thread(cloud.of, Outer)
        while not seen:
            await asyncio.sleep(0)

    asyncio.run(life())
    assert seen == [True]
