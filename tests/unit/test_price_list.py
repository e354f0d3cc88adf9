"""The price list is read whole or not at all, kept as an account's own copy, and put into the bundled book."""

import http.server
import json
import shutil
import stat
import sys
import threading
import urllib.parse
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

import catalog
from catalog import listed, prices
from catalog.gathering import books, names
from cloudkite import workspace
from cloudkite.accounts import api, pricelist
from cloudkite.accounts import target as targets
from cloudkite.accounts.registry import Account
from cloudkite.journey import reach, refreshing
from cloudkite.money import currency
from cloudkite.money.book import reading
from cloudkite.show.errors import BadValue, UserError
from cloudkite.workspace import CLONE
from tests.jobs import NOW

GOOGLE = json.loads((CLONE / "packages/catalog/tests/google_skus.json").read_text(encoding="utf-8"))["services"]
CORE = "2E27-4F75-95CD"  # of N1, in three regions


@pytest.fixture(autouse=True)
def _no_pauses_and_no_copy(monkeypatch):
    monkeypatch.setattr(api, "_PAUSES", (0, 0, 0))
    yield
    listed.use(None)


@pytest.fixture
def server(monkeypatch):
    """Google's price list, 20 SKUs a page; `answers` stand in for a service's pages, `asked` are the queries."""
    state = SimpleNamespace(answers={}, asked=[], skus=json.loads(json.dumps(GOOGLE)))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path, _mark, query = self.path.partition("?")
            service = path.split("/")[2]
            asked = dict(urllib.parse.parse_qsl(query))
            state.asked.append((service, asked.get("pageToken", ""), asked["currencyCode"]))
            pages = state.answers.get(service)
            code, body = pages.pop(0) if pages else (200, state.page(service, asked))
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    def page(service, asked):
        start = int(asked.get("pageToken") or 0)
        rows, more = state.skus[service], start + 20 < len(state.skus[service])
        if asked["currencyCode"] == "KRW":
            rows = json.loads(json.dumps(rows).replace('"USD"', '"KRW"'))
            for row in rows:
                row["pricingInfo"][0]["currencyConversionRate"] = 1335.25
        return {"skus": rows[start : start + 20], "nextPageToken": str(start + 20) if more else ""}

    state.page = page
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        url = f"http://127.0.0.1:{made.server_address[1]}"
        monkeypatch.setattr(reading, "_LIST", url + "/services/{service}/skus")
        monkeypatch.setattr(currency, "_LIST", f"{url}/services/{names.VERTEX}/skus")
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield state
        made.shutdown()
        thread.join()


@pytest.fixture
def account(tmp_path):
    return Account(
        name="mine", target="google", project="my-project", region="us-central1", tier="paid", owner="", currency="KRW",
        budget=None, settings=tmp_path / "Pulumi.mine.yaml", state=tmp_path / "state",
    )  # fmt: skip


@pytest.fixture
def target(account):
    with requests.Session() as session:
        session.trust_env = False
        yield SimpleNamespace(session=lambda: session, account=account, unpaid="", now=lambda: NOW, notes=())


@pytest.fixture
def space(tmp_path, account, target, monkeypatch):
    """A workspace whose one account is signed in."""
    monkeypatch.setattr(refreshing.registry, "load", lambda _space, _name: account)
    monkeypatch.setattr(reach, "connect", lambda _space, _account, new: target)
    return workspace.throw_away(tmp_path / "space")


def test_all_pages_of_all_services_are_read(server, target):
    read = reading.read(target)
    assert (read.count, read.found.used, len(read.found.unmapped), read.left_out) == (101, 65, 32, ())
    assert read.found.layer["source"] == "Google's price list (Cloud Billing Catalog API)"
    assert read.found.layer["as_of"] == NOW.date().isoformat()
    assert server.asked == [
        (names.VERTEX, "", "USD"),
        (names.COMPUTE, "", "USD"),
        (names.COMPUTE, "20", "USD"),
        (names.COMPUTE, "40", "USD"),
        (names.RUN, "", "USD"),
        (names.STORAGE, "", "USD"),
    ]


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ([{"skus": [{}], "nextPageToken": "1"}, {"skus": [], "nextPageToken": "1"}], "it gives the same page again"),
        ([{"skus": "many", "nextPageToken": ""}], "a page of it isn't whole"),
        ([{"skus": [], "nextPageToken": 7}], "a page of it isn't whole"),
        ([{"skus": {"0": {}}}], "a page of it isn't whole"),
        ([{}], "it is empty"),
        ([b'{"skus": [{"skuId": "2E27'], "the answer is not what Google's API gives: "),
        ([[]], "the answer is not what Google's API gives: "),
        ([{"skus": [{}], "nextPageToken": "1"}, b"<html>"], "the answer is not what Google's API gives: "),
    ],
)
def test_a_service_whose_list_is_torn_is_left_out_and_told(server, target, pages, said):
    server.answers[names.COMPUTE] = [(200, page) for page in pages]
    read = reading.read(target)
    [told] = read.left_out
    assert told.startswith(f"read the price list of Compute Engine: {said}")
    assert "compute" not in read.found.layer and "training" in read.found.layer


def test_pages_without_an_end_are_left(server, target, monkeypatch):
    monkeypatch.setattr(reading, "_MOST", 3)
    server.answers[names.RUN] = [(200, {"skus": [], "nextPageToken": str(n)}) for n in range(9)]
    assert reading.read(target).left_out == ("read the price list of Cloud Run: it doesn't end",)


def test_where_no_list_can_be_read_the_first_refusal_is_told(server, target):
    refusal = {"error": {"code": 403, "message": "not allowed", "status": "PERMISSION_DENIED"}}
    server.answers = {service: [(403, refusal)] for service in names.SERVICES}
    with pytest.raises(UserError, match="read the price list of Vertex AI: not allowed"):
        reading.read(target)


def test_a_list_of_what_is_not_known_is_no_list(server, target):
    server.skus = {service: [{"description": "Something new"}] for service in names.SERVICES}
    with pytest.raises(UserError, match="has no price that is known here"):
        reading.read(target)


def test_a_network_that_fails_leaves_the_copy_as_it_was(server, target, space, account):
    refreshing.refresh(space)
    before = (account.state / "prices.json").read_bytes()
    target.session().close()
    target.session().get_adapter("http://").send = _cut_off
    with pytest.raises(UserError):
        refreshing.refresh(space)
    assert (account.state / "prices.json").read_bytes() == before


def _cut_off(*_arguments, **_options):
    raise requests.ConnectionError("cut off")


def test_a_refresh_shows_what_changed_and_counts_by_it(server, target, space, account, capsys):
    bundled = prices.hourly("e2-standard-4", "us-central1")
    [core] = [sku for sku in server.skus[names.COMPUTE] if sku["skuId"] == CORE]
    expression = core["pricingInfo"][0]["pricingExpression"]
    expression["tieredRates"][0]["unitPrice"]["nanos"] = 131_611_000
    [ram] = [sku for sku in server.skus[names.COMPUTE] if sku["description"] == "G2 Instance Ram running in Iowa"]
    ram["pricingInfo"] = []
    refreshing.refresh(space)
    shown = capsys.readouterr()
    rows = [line.split() for line in shown.out.splitlines()]
    assert "Compute Engine: n1 core us-central1, us-east1, +1 0.031611 0.131611 hour".split() in rows
    assert "spot: NVIDIA_B200 us-central1 unknown 4.9542 hour".split() in rows
    assert "64 of 101 SKUs are used as of 2026-11-24; 32 are of kinds that aren't priced here" in shown.out
    assert "1 USD = 1,335.25 KRW of 2026-11-24" in shown.out
    assert "account mine counts by these prices from now on" in shown.out
    far = "warning: n1 core in us-central1 is 0.131611 USD, and 0.031611 USD in the bundled book: look at it"
    assert far in shown.err
    assert "not used: G2 Instance Ram running in Iowa (F0A4-E3D3-33BD): its price is missing" in shown.err
    assert prices.hourly("e2-standard-4", "us-central1").as_of == "2026-11-24" > bundled.as_of
    # The rate is kept for the day: nobody asks again.
    server.asked.clear()
    assert currency.look(target, "KRW").per_dollar == Decimal("1335.25")
    assert server.asked == []


def test_a_refresh_in_json_has_each_sku_that_was_not_used(server, space, capsys):
    refreshing.refresh(space, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["account"], told["skus"], told["used"], told["left_out"]) == ("mine", 101, 65, [])
    assert told["rate"] == {"currency": "KRW", "per_dollar": "1335.25", "date": "2026-11-24"}
    assert len(told["unmapped"]) == 32 == sum(told["unmapped_by_service"].values())
    assert {one["why"] for one in told["refused"]} == {"two prices"}
    [b200] = [one for one in told["changes"] if one["table"] == "spot" and one["name"] == "NVIDIA_B200"]
    assert b200["before"] is None and b200["after"] == "4.9542"
    assert told["far_from_bundled"] == []
    # Nothing changes when it is read again, but what is far from the bundled book stays so.
    [core] = [sku for sku in server.skus[names.COMPUTE] if sku["skuId"] == CORE]
    core["pricingInfo"][0]["pricingExpression"]["tieredRates"][0]["unitPrice"]["nanos"] = 1_000_000
    for changed in (3, 0):
        refreshing.refresh(space, as_json=True)
        told = json.loads(capsys.readouterr().out)
        assert len(told["changes"]) == changed
        assert {(one["name"], one["before"], one["after"]) for one in told["far_from_bundled"]} == {
            ("n1 core", "0.031611", "0.001")
        }


def test_a_copy_is_the_owners_and_is_taken_up_with_the_account(server, space, account, monkeypatch):
    refreshing.refresh(space)
    path = account.state / "prices.json"
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    listed.use(None)
    monkeypatch.setattr(targets, "_google", lambda _space, found: targets.Target(found, {}, {}))
    assert targets.connect(space, account).notes == ()
    assert prices.hourly("e2-standard-4", "us-central1").as_of == "2026-11-24"
    # Another account has its own, or none.
    other = Account(**{**vars(account), "name": "other", "state": account.state.parent / "other"})
    assert targets.connect(space, other).notes == ()
    assert prices.hourly("e2-standard-4", "us-central1").as_of == "2025-04"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"target": "google"}', '{"target": "google", "layer": {}}', "[" * 100_000, "\udcff"],
)
def test_a_damaged_copy_is_told_and_not_used(account, text):
    account.state.mkdir()
    (account.state / "prices.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    before = prices.hourly("e2-standard-4", "us-central1")
    note = pricelist.lay(account)
    assert note.endswith("so the bundled prices are: uv run invoke prices --refresh --account mine")
    assert prices.hourly("e2-standard-4", "us-central1") == before


def test_a_copy_of_another_cloud_is_not_used(server, target, account):
    pricelist.keep(account, reading.read(target).found.layer)
    moved = Account(**{**vars(account), "target": "local"})
    assert "can't be used" in pricelist.lay(moved)
    assert prices.hourly("e2-standard-4", "us-central1").as_of == "2025-04"


def test_the_bundled_book_takes_the_list_in_and_stays_as_it_is_a_second_time(
    server, space, tmp_path, monkeypatch, capsys
):
    home = Path(catalog.__file__).parent
    book = tmp_path / "catalog" / "prices.json"
    book.parent.mkdir()
    shutil.copy(home / "prices.json", book)
    monkeypatch.setattr(catalog, "__file__", str(book.parent / "__init__.py"))
    refreshing.gather(space, "mine", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["written"] == str(book) and told["changes"]
    made = json.loads(book.read_text(encoding="utf-8"), parse_float=Decimal)
    assert made["layers"][0]["as_of"] == "2026-11-24"
    assert books.checked(made["layers"][0])["compute"]["NVIDIA_B200"] == {"us-central1": Decimal("16.11")}
    if sys.platform != "win32":
        assert stat.S_IMODE(book.stat().st_mode) == 0o644
    once = book.read_bytes()
    refreshing.gather(space, "mine")
    assert book.read_bytes() == once
    assert [path.name for path in book.parent.iterdir()] == ["prices.json"]
    assert "written:" in capsys.readouterr().out


def test_the_local_clouds_prices_are_not_written_into_the_book(space, account, monkeypatch):
    here = Account(**{**vars(account), "target": "local"})
    monkeypatch.setattr(refreshing.registry, "load", lambda _space, _name: here)
    with pytest.raises(BadValue, match="whose prices are the bundled ones"):
        refreshing.gather(space, "mine")
