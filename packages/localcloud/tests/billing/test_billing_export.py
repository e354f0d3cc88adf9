"""The bill exported to BigQuery: read by Google's own client, as late as on Google, and refused as there."""

from __future__ import annotations

import base64
import datetime
import json
from decimal import Decimal

import pytest

from clouds.charged import SLEEP, Place, command, refusal
from localcloud import launch

BIGQUERY = "https://bigquery.googleapis.com/bigquery/v2"
TABLE = "gcp_billing_export_v1_10CA1C_10D000_000001"
READ = """
from google.cloud import bigquery
client = bigquery.Client(project="test-project")
assert [one.dataset_id for one in client.list_datasets()] == ["billing"]
assert client.get_dataset("billing").location == "US"
assert [one.table_id for one in client.list_tables("billing")] == ["{table}"]
table = client.get_table("billing.{table}")
assert table.time_partitioning.type_ == "DAY", table.time_partitioning
rows = list(client.list_rows(table, page_size=2))
assert len(rows) == table.num_rows, (len(rows), table.num_rows)
wanted = [field for field in table.schema if field.name in ("cost", "usage_start_time")]
some = list(client.list_rows(table, selected_fields=wanted))
assert [row["cost"] for row in some] == [row["cost"] for row in rows]
print(sum(row["cost"] for row in rows))
for row in [row for row in rows if row["labels"]][:1]:
    print(row["service"]["description"], row["labels"], row["project"]["id"], row["invoice"]["month"], row["currency"])
    print(row["usage_start_time"].isoformat(), row["credits"])
"""


@pytest.mark.slow
def test_the_export_is_read_by_googles_client(place: Place) -> None:
    """A job of five hours, exported after its first: four of them are told, and only when six more are over."""
    job = place.run(SLEEP, timeout="18000s", trainer="penguins")
    place.forward(3600)
    told = command(place.cloud, "export", "--dataset", "test-project.billing")
    assert "test-project.billing from now on" in told
    data = f"{BIGQUERY}/projects/test-project/datasets/billing/tables/{TABLE}/data"
    place.forward(3600)
    assert place.session.get(data).json()["totalRows"] == "0"
    place.forward(18 * 3600)
    whole = sum(
        Decimal(line["cost"]) for line in place.bill()["lines"] if line["resource"].endswith(job["name"].split("/")[-1])
    )
    read = place.cloud.run(READ.replace("{table}", TABLE)).stdout.splitlines()
    assert abs(Decimal(read[0]) - whole * 4 / 5) < whole / 500  # a few seconds of an hour
    month = place.session.get(data, params={"selectedFields": "invoice.month"}).json()["rows"][0]["f"][0]["v"]["f"]
    assert read[1] == f"Vertex AI [{{'key': 'trainer', 'value': 'penguins'}}] test-project {month[0]['v']} USD"
    assert datetime.datetime.fromisoformat(read[2].split()[0]).tzinfo is not None


@pytest.mark.slow
def test_partitions_pages_and_times(place: Place) -> None:
    place.run(SLEEP, timeout="36000s")
    launch.control(place.cloud.root, "POST", "/export", {"dataset": "test-project.billing"})
    place.forward(30 * 3600)
    data = f"{BIGQUERY}/projects/test-project/datasets/billing/tables/{TABLE}"
    asked = {"selectedFields": "export_time,cost", "formatOptions.useInt64Timestamp": "true", "maxResults": "1"}
    rows, token = [], None
    while token != "":
        page = place.session.get(f"{data}/data", params=asked | ({"pageToken": token} if token else {})).json()
        rows += page["rows"]
        token = page.get("pageToken", "")
    assert len(rows) == int(page["totalRows"]) > 2
    days = {datetime.datetime.fromtimestamp(int(row["f"][0]["v"]) / 1e6, datetime.UTC).date() for row in rows}
    of_days = [place.session.get(f"{data}${day:%Y%m%d}/data").json()["totalRows"] for day in days]
    assert sum(map(int, of_days)) == len(rows)
    assert place.session.get(f"{data}$20200101/data").json()["totalRows"] == "0"


@pytest.mark.slow
def test_refusals_are_googles(place: Place) -> None:
    here = f"{BIGQUERY}/projects/test-project/datasets"
    gone = place.session.get(f"{here}/billing/tables/{TABLE}/data")
    assert refusal(gone) == (404, "NOT_FOUND", "Not found: Dataset test-project:billing")
    assert gone.json()["error"]["errors"][0]["reason"] == "notFound"
    body = {"datasetReference": {"datasetId": "billing"}}
    assert place.session.post(here, json=body).json()["id"] == "test-project:billing"
    assert refusal(place.session.post(here, json=body))[0] == 409
    missing = place.session.get(f"{here}/billing/tables/{TABLE}")
    assert refusal(missing) == (404, "NOT_FOUND", f"Not found: Table test-project:billing.{TABLE}")
    iam = "https://iam.googleapis.com/v1/projects/test-project/serviceAccounts"
    made = place.session.post(iam, json={"accountId": "reader"}).json()
    key = place.session.post(f"https://iam.googleapis.com/v1/{made['name']}/keys", json={}).json()["privateKeyData"]
    with place.cloud.session(json.loads(base64.b64decode(key))) as stranger:
        refused = stranger.get(f"{here}/billing/tables/{TABLE}/data")
    assert refused.status_code == 403 and "Permission bigquery.tables.getData denied on table" in refused.text
    assert refused.json()["error"]["errors"][0]["reason"] == "accessDenied"
    off = "https://serviceusage.googleapis.com/v1/projects/test-project/services/bigquery.googleapis.com:disable"
    assert place.session.post(off, json={"disableDependentServices": True}).ok
    assert "SERVICE_DISABLED" in place.session.get(f"{here}/billing/tables").text
    assert refusal(place.session.get(f"{here}:search"))[0] == 501
