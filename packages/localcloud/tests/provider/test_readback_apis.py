"""The small APIs that an account's resources are read from: Google's own clients, and what is refused."""

import json
import re

import pytest

from clouds import opened

PROJECT = "test-project"
APIS = "billingbudgets cloudbilling cloudquotas monitoring artifactregistry cloudresourcemanager".split()
T4 = "CustomModelTrainingT4GPUsPerProjectPerRegion"


@pytest.fixture(scope="module", autouse=True)
def _on(local_cloud):
    """The APIs are on, as they are after `up`."""
    local_cloud.enable(*APIS)


def seen(local_cloud, script):
    """What a script prints as its last line, read as JSON."""
    return json.loads(local_cloud.run(script).stdout.splitlines()[-1])


def refused(response):
    """(HTTP code, status, message) of a refusal."""
    error = response.json()["error"]
    assert response.status_code == error["code"]
    return error["code"], error["status"], error["message"]


def test_a_budget_by_googles_client(local_cloud):
    opened(local_cloud, "AAAAAA-000000-000001", "EUR")
    told = seen(
        local_cloud,
        """
        import json
        from google.api_core import exceptions
        from google.cloud.billing import budgets_v1 as b
        from google.protobuf import field_mask_pb2
        client = b.BudgetServiceClient()
        parent = "billingAccounts/AAAAAA-000000-000001"
        money = {"specified_amount": {"currency_code": "EUR", "units": 5}}
        rules = [{"threshold_percent": 0.5}]
        made = client.create_budget(
            parent=parent, budget={"display_name": "x", "amount": money, "threshold_rules": rules})
        mask = field_mask_pb2.FieldMask(paths=["display_name"])
        changed = client.update_budget(budget={"name": made.name, "display_name": "y"}, update_mask=mask)
        found = client.get_budget(name=made.name)
        listed = [x.name for x in client.list_budgets(parent=parent)]
        client.delete_budget(name=made.name)
        try:
            client.get_budget(name=made.name)
            gone = False
        except exceptions.NotFound:
            gone = True
        print(json.dumps([changed.display_name, found.threshold_rules[0].spend_basis.name, listed == [made.name], gone,
            found.budget_filter.credit_types_treatment.name, found.amount.specified_amount.currency_code]))
        """,
    )
    assert told == ["y", "CURRENT_SPEND", True, True, "INCLUDE_ALL_CREDITS", "EUR"]


BUDGETS = "https://billingbudgets.googleapis.com/v1/billingAccounts/BBBBBB-000000-000002/budgets"
USD = {"specifiedAmount": {"currencyCode": "USD", "units": "1"}}
BAD_BUDGETS = [
    ({}, "amount must be either specified_amount or last_period_amount"),
    ({"amount": {**USD, "lastPeriodAmount": {}}}, "amount must be either specified_amount or last_period_amount"),
    ({"amount": USD, "displayName": "x" * 61}, "display_name must be at most 60 characters long"),
    ({"amount": {"specifiedAmount": {"units": "-1"}}}, "specified_amount must not be negative"),
    ({"amount": {"specifiedAmount": {"units": "many"}}}, "specified_amount.units must be a whole number"),
    ({"amount": USD, "thresholdRules": [{}]}, "threshold_rules.threshold_percent must be a number from 0"),
    (
        {"amount": USD, "thresholdRules": [{"thresholdPercent": 1, "spendBasis": "X"}]},
        "threshold_rules.spend_basis X is unknown",
    ),
    (
        {"amount": USD, "budgetFilter": {"projects": ["projects/1"]}},
        "budget_filter.projects: projects/1 does not exist",
    ),
    ({"amount": USD, "budgetFilter": {"creditTypesTreatment": "X"}}, "credit_types_treatment X is unknown"),
    ({"amount": USD, "budgetFilter": {"calendarPeriod": "DAY"}}, "calendar_period DAY is unknown"),
    (
        {"amount": USD, "notificationsRule": {"monitoringNotificationChannels": ["c"] * 6}},
        "at most 5 monitoring_notification_channels are allowed",
    ),
    (
        {"amount": USD, "notificationsRule": {"monitoringNotificationChannels": ["c"]}},
        "monitoring_notification_channels: c does not exist",
    ),
]


@pytest.mark.parametrize(("body", "message"), BAD_BUDGETS, ids=[message[:40] for _, message in BAD_BUDGETS])
def test_budgets_that_can_not_be(session, body, message):
    told = refused(session.post(BUDGETS, json=body))
    assert told == (400, "INVALID_ARGUMENT", f"Request contains an invalid argument: {message}.")


def test_a_billing_account_counts_in_one_currency(local_cloud, session):
    account = f"https://cloudbilling.googleapis.com/v1/{opened(local_cloud, 'CCCCCC-000000-000003', 'KRW')}"
    budgets = account.replace("cloudbilling", "billingbudgets") + "/budgets"
    won = {"specifiedAmount": {"currencyCode": "KRW", "units": "10000"}}
    assert "KRW" in refused(session.post(budgets, json={"amount": USD}))[2]  # the first no less than others
    assert session.post(budgets, json={"amount": won}).ok
    assert session.get(account).json()["currencyCode"] == "KRW"
    assert "KRW" in refused(session.post(budgets, json={"amount": USD}))[2]
    own = session.post(budgets, json={"amount": {"specifiedAmount": {"units": "5"}}}).json()
    assert own["amount"]["specifiedAmount"] == {"currencyCode": "KRW", "units": "5"}


def test_an_account_that_nobody_opened_is_not_there(local_cloud, session):
    base = "https://cloudbilling.googleapis.com/v1"
    there = [account["name"] for account in session.get(f"{base}/billingAccounts").json()["billingAccounts"]]
    name = "billingAccounts/FFFFFF-FFFFFF-FFFFFF"
    assert name not in there and "billingAccounts/BBBBBB-000000-000002" in there
    assert refused(session.get(f"{base}/{name}"))[:2] == (403, "PERMISSION_DENIED")
    budgets = f"https://billingbudgets.googleapis.com/v1/{name}/budgets"
    number = session.get(f"https://cloudresourcemanager.googleapis.com/v1/projects/{PROJECT}").json()["projectNumber"]
    of_the_project = {"amount": USD, "budgetFilter": {"projects": [f"projects/{number}"]}}
    for body in ({"amount": USD}, of_the_project):
        assert refused(session.post(budgets, json=body))[:2] == (403, "PERMISSION_DENIED")
    info = f"{base}/projects/{PROJECT}/billingInfo"
    assert refused(session.put(info, json={"billingAccountName": name}))[:2] == (403, "PERMISSION_DENIED")
    closed = opened(local_cloud, "FFFFFF-000000-000006", is_open=False)
    assert session.get(f"{base}/{closed}").json()["open"] is False
    assert refused(session.put(info, json={"billingAccountName": closed}))[:2] == (400, "FAILED_PRECONDITION")


def test_who_pays_for_a_project(local_cloud, session):
    base = "https://cloudbilling.googleapis.com/v1"
    info = f"{base}/projects/{PROJECT}/billingInfo"
    before = session.get(info).json()
    try:
        name = opened(local_cloud, "DDDDDD-000000-000004")
        linked = session.put(info, json={"billingAccountName": name}).json()
        assert (linked["billingAccountName"], linked["billingEnabled"]) == (name, True)
        assert session.get(info).json() == linked
        assert [p["projectId"] for p in session.get(f"{base}/{name}/projects").json()["projectBillingInfo"]] == [
            PROJECT
        ]
        assert name in [account["name"] for account in session.get(f"{base}/billingAccounts").json()["billingAccounts"]]
        assert session.put(info, json={"billingAccountName": ""}).json()["billingEnabled"] is False
        assert refused(session.put(info, json={"billingAccountName": "mine"}))[0] == 400
    finally:
        session.put(info, json={"billingAccountName": before["billingAccountName"]})


PLACE = f"https://cloudquotas.googleapis.com/v1/projects/{PROJECT}/locations/global"
PREFERENCES = f"{PLACE}/quotaPreferences"


def preference(value, region="us-central1", **more):
    return {
        "service": "aiplatform.googleapis.com",
        "quotaId": T4,
        "dimensions": {"region": region},
        "quotaConfig": {"preferredValue": str(value)},
        **more,
    }


def value(session, region):
    """What a quota is in a region, as Google tells it."""
    rows = session.get(f"{PLACE}/services/aiplatform.googleapis.com/quotaInfos/{T4}").json()["dimensionsInfos"]
    [row] = [row for row in rows if region in row["applicableLocations"]]
    return row["details"]["value"]


def test_a_preference_is_a_quota_that_holds(session):
    assert value(session, "us-central1") == "12"
    ask = {"quotaPreferenceId": "t4", "ignoreSafetyChecks": "QUOTA_DECREASE_PERCENTAGE_TOO_HIGH"}
    made = session.post(PREFERENCES, params=ask, json=preference(1)).json()
    assert made["quotaConfig"]["grantedValue"] == "1"
    assert value(session, "us-central1") == "1"
    assert value(session, "us-west1") == "2"
    told = refused(session.post(PREFERENCES, params={"quotaPreferenceId": "again"}, json=preference(1)))
    assert told[:2] == (409, "ALREADY_EXISTS")
    mask = {"updateMask": "quotaConfig"}
    back = session.patch(f"{PREFERENCES}/t4", params=mask, json={"quotaConfig": {"preferredValue": "4"}})
    assert back.ok and value(session, "us-central1") == "4"  # up to what holds without it, nobody asks
    wish = {"quotaConfig": {"preferredValue": "13"}}
    told = refused(session.patch(f"{PREFERENCES}/t4", params=mask, json=wish))
    assert told[2] == "Request contains an invalid argument: contact_email is required to increase a quota."
    more = {"updateMask": "quotaConfig,contactEmail"}
    assert session.patch(f"{PREFERENCES}/t4", params=more, json={**wish, "contactEmail": "me@example.com"}).ok
    assert value(session, "us-central1") == "13"


def test_a_preference_without_an_id_gets_one(session):
    wanted = preference(3, "asia-east1", contactEmail="me@example.com")
    made = session.post(PREFERENCES, json=wanted).json()
    assert re.fullmatch(r"[0-9a-f-]{36}", made["name"].rpartition("/")[2])
    beta = PREFERENCES.replace("/v1/", "/v1beta/")  # which gcloud calls
    assert made["name"] in [one["name"] for one in session.get(beta).json()["quotaPreferences"]]


def test_quotas_by_googles_client(local_cloud):
    told = seen(
        local_cloud,
        """
        import json, os
        from google.cloud import cloudquotas_v1 as q
        client = q.CloudQuotasClient()
        place = f"projects/{os.environ['GOOGLE_CLOUD_PROJECT']}/locations/global"
        infos = list(client.list_quota_infos(
            request={"parent": f"{place}/services/aiplatform.googleapis.com", "page_size": 5}))
        made = client.create_quota_preference(parent=place, quota_preference_id="l4", quota_preference={
            "service": "aiplatform.googleapis.com", "quota_id": "CustomModelTrainingL4GPUsPerProjectPerRegion",
            "dimensions": {"region": "us-west1"}, "quota_config": {"preferred_value": 2},
            "contact_email": "me@example.com"})
        names = [p.name.rpartition("/")[2] for p in client.list_quota_preferences(parent=place)]
        print(json.dumps([len(infos), made.quota_config.granted_value, "l4" in names]))
        """,
    )
    assert told[0] > 20
    assert told[1:] == [2, True]


BAD_PREFERENCES = [
    ({}, 400, "service is required"),
    (preference(1, quotaId="Bananas"), 404, "Quota Bananas is not found for service aiplatform.googleapis.com"),
    (preference(1, region="mars"), 404, "in 'mars'"),
    (preference("many", "us-east4"), 400, "quota_config.preferred_value"),
    (preference(-2, "us-east1"), 400, "preferred_value is below -1"),
    (preference(0, "us-east1"), 400, "2 to 0 is a decrease of more than 10 percent"),
    (preference(3, "us-east1"), 400, "contact_email is required to increase a quota"),
]


@pytest.mark.parametrize(("body", "code", "message"), BAD_PREFERENCES, ids=[m[:40] for *_, m in BAD_PREFERENCES])
def test_preferences_that_can_not_be(session, body, code, message):
    told = refused(session.post(PREFERENCES, params={"quotaPreferenceId": "bad"}, json=body))
    assert told[0] == code
    assert message in told[2]


CHANNELS = f"https://monitoring.googleapis.com/v3/projects/{PROJECT}/notificationChannels"
POLICIES = f"https://monitoring.googleapis.com/v3/projects/{PROJECT}/alertPolicies"
NO_CHANNEL = f"projects/{PROJECT}/notificationChannels/1"
MAIL = {"type": "email", "labels": {"email_address": "me@example.com"}}


def policy(**more):
    log = {"displayName": "log", "conditionMatchedLog": {"filter": "severity>=ERROR"}}
    strategy = {"notificationRateLimit": {"period": "300s"}}
    return {"displayName": "p", "combiner": "OR", "conditions": [log], "alertStrategy": strategy, **more}


def test_the_types_of_channels_are_listed(session):
    found = session.get(f"{CHANNELS[:-1]}Descriptors").json()["channelDescriptors"]
    (mail,) = [one for one in found if one["type"] == "email"]
    assert mail["labels"] == [{"key": "email_address"}]
    assert session.get(f"https://monitoring.googleapis.com/v3/{mail['name']}").json() == mail
    assert refused(session.get(f"{CHANNELS[:-1]}Descriptors/pigeon"))[0] == 404


def test_channels_that_others_may_not_name(session):
    """A policy's are of its own project, a budget's are e-mail channels that who makes it may see."""
    mail = session.post(CHANNELS, json=MAIL).json()
    assert mail["creationRecord"]["mutateTime"]
    changed = session.patch(f"https://monitoring.googleapis.com/v3/{mail['name']}", json={"displayName": "Mail"}).json()
    assert [list(record) for record in changed["mutationRecords"]] == [["mutateTime"]]
    text = session.post(CHANNELS, json={"type": "sms", "labels": {"number": "+1"}}).json()
    other = "channels-elsewhere"
    session.post("https://cloudresourcemanager.googleapis.com/v1/projects", json={"projectId": other})
    elsewhere = session.post(CHANNELS.replace(PROJECT, other), json=MAIL).json()
    told = refused(session.post(POLICIES, json=policy(notificationChannels=[elsewhere["name"]])))
    assert told == (404, "NOT_FOUND", f"Cannot find notification channel {elsewhere['name']}.")

    def told_by(channel):
        rule = {"monitoringNotificationChannels": [channel]}
        return session.post(BUDGETS, json={"amount": USD, "notificationsRule": rule})

    number = session.get(f"https://cloudresourcemanager.googleapis.com/v1/projects/{PROJECT}").json()["projectNumber"]
    assert told_by(mail["name"].replace(PROJECT, number)).ok
    assert told_by(elsewhere["name"]).ok  # the caller owns that project too
    start = "Request contains an invalid argument: monitoring_notification_channels: "
    assert refused(told_by(text["name"]))[2] == f"{start}{text['name']} is not an email channel."
    project = f"https://cloudresourcemanager.googleapis.com/v1/projects/{other}"
    theirs = {"role": "roles/owner", "members": [f"serviceAccount:owner@{other}.iam.gserviceaccount.com"]}
    assert session.post(f"{project}:setIamPolicy", json={"policy": {"bindings": [theirs]}}).ok
    assert refused(told_by(elsewhere["name"]))[2] == f"{start}{elsewhere['name']} does not exist."


def test_channels_and_policies(session):
    channel = session.post(CHANNELS, json=MAIL).json()["name"]
    made = session.post(POLICIES, json=policy(notificationChannels=[channel])).json()
    url = f"https://monitoring.googleapis.com/v3/{made['name']}"
    assert made["conditions"][0]["name"].startswith(f"{made['name']}/conditions/")
    assert (
        session.patch(url, params={"updateMask": "displayName"}, json={"displayName": "q"}).json()["displayName"] == "q"
    )
    assert made["name"] in [found["name"] for found in session.get(POLICIES).json()["alertPolicies"]]
    address = f"https://monitoring.googleapis.com/v3/{channel}"
    code, status, message = refused(session.delete(address))
    assert (code, status) == (400, "FAILED_PRECONDITION")
    assert f"still in use by policy {made['name']}" in message
    assert session.delete(address, params={"force": "true"}).ok
    assert session.get(url).json()["notificationChannels"] == []
    assert session.delete(url).ok
    assert session.get(url).status_code == 404


@pytest.mark.parametrize(
    ("url", "body", "code", "message"),
    [
        (CHANNELS, {"type": "pigeon"}, 400, "unknown type"),
        (CHANNELS, {"type": "email"}, 400, "labels must have email_address"),
        (CHANNELS, {"type": "email", "labels": {"email_address": "me"}}, 400, "an invalid value of 'me'"),
        (POLICIES, policy(displayName=""), 400, "display_name is required"),
        (POLICIES, policy(combiner="MAYBE"), 400, "combiner had an invalid value of 'MAYBE'"),
        (POLICIES, policy(conditions=[]), 400, "conditions must not be empty"),
        (POLICIES, policy(conditions=[{"displayName": "x"}]), 400, "each have exactly one condition"),
        (POLICIES, policy(alertStrategy={}), 400, "notification_rate_limit is required for log-based alerts"),
        (POLICIES, policy(notificationChannels=["none"]), 400, "Name must begin with 'projects/{project_id}/"),
        (POLICIES, policy(notificationChannels=[NO_CHANNEL]), 404, f"Cannot find notification channel {NO_CHANNEL}."),
    ],
)
def test_channels_and_policies_that_can_not_be(session, url, body, code, message):
    told = refused(session.post(url, json=body))
    assert told[0] == code
    assert message in told[2]


REPOSITORIES = f"https://artifactregistry.googleapis.com/v1/projects/{PROJECT}/locations/us-central1/repositories"


def test_repositories_by_googles_client(local_cloud):
    told = seen(
        local_cloud,
        """
        import json, os
        from google.api_core import exceptions
        from google.cloud import artifactregistry_v1 as a
        client = a.ArtifactRegistryClient()
        parent = f"projects/{os.environ['GOOGLE_CLOUD_PROJECT']}/locations/us-central1"
        made = client.create_repository(parent=parent, repository_id="box", repository={"format_": "DOCKER"}).result()
        policy = client.set_iam_policy(request={"resource": made.name, "policy": {
            "bindings": [{"role": "roles/artifactregistry.reader", "members": ["user:me@example.com"]}]}})
        made.description = "boxes"
        changed = client.update_repository(repository=made, update_mask={"paths": ["description"]})
        listed = [r.name.rpartition("/")[2] for r in client.list_repositories(parent=parent)]
        read = client.get_iam_policy(request={"resource": made.name}).bindings[0].role
        client.delete_repository(name=made.name).result()
        try:
            client.get_repository(name=made.name)
        except exceptions.NotFound as error:
            print(json.dumps([changed.description, changed.mode.name, listed, read, error.message]))
        """,
    )
    assert told[:4] == ["boxes", "STANDARD_REPOSITORY", ["box"], "roles/artifactregistry.reader"]
    assert told[4] == f'Repository "projects/{PROJECT}/locations/us-central1/repositories/box" does not exist.'


def test_repositories_as_gcloud_asks_for_them(session):
    body = {"format": "DOCKER", "mode": "MODE_UNSPECIFIED"}
    assert session.post(REPOSITORIES, params={"repositoryId": "by-gcloud"}, json=body).ok
    assert session.get(f"{REPOSITORIES}/by-gcloud").json()["mode"] == "STANDARD_REPOSITORY"
    beta = REPOSITORIES.replace("/v1/", "/v1beta2/").partition("/us-central1")[0]
    assert {"us", "us-central1"} <= {one["locationId"] for one in session.get(beta).json()["locations"]}


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("Upper", {"format": "DOCKER"}, "Invalid repository id 'Upper'."),
        ("x", {"format": "ZIP"}, "Repository format 'ZIP' is not supported."),
        ("x", {"format": "DOCKER", "cleanupPolicies": {"a": {"id": "b", "action": "KEEP"}}}, "Cleanup policy 'a'"),
        ("x", {"format": "DOCKER", "cleanupPolicies": {"a": {"id": "a"}}}, "needs an action, KEEP or DELETE"),
        ("x", {"format": "DOCKER", "cleanupPolicies": {"a": {"id": "a", "action": "DELETE"}}}, "needs a condition"),
    ],
)
def test_repositories_that_can_not_be(session, name, body, message):
    told = refused(session.post(REPOSITORIES, params={"repositoryId": name}, json=body))
    assert told[0] == 400
    assert message in told[2]


def test_an_api_that_is_off_says_so_as_google_does(new_cloud):
    cloud = new_cloud("off", "quiet-project")
    session = cloud.session()
    base = "projects/quiet-project/locations"
    urls = {
        "cloudquotas": f"v1/{base}/global/quotaPreferences",
        "artifactregistry": f"v1/{base}/us-central1/repositories",
        "cloudbilling": "v1/projects/quiet-project/billingInfo",
        "billingbudgets": "v1/billingAccounts/EEEEEE-000000-000005/budgets",
    }
    for name, path in urls.items():
        response = session.get(f"https://{name}.googleapis.com/{path}")
        code, status, message = refused(response)
        assert (code, status) == (403, "PERMISSION_DENIED")
        assert "has not been used in project quiet-project before or it is disabled." in message
        info = response.json()["error"]["details"][0]
        assert (info["reason"], info["metadata"]["service"]) == ("SERVICE_DISABLED", f"{name}.googleapis.com")
    session.close()


def test_what_is_not_emulated_says_so(session):
    told = refused(session.get(f"https://monitoring.googleapis.com/v3/projects/{PROJECT}/timeSeries"))
    assert told[:2] == (501, "UNIMPLEMENTED")
    assert told[2].startswith("not emulated by the local cloud: GET monitoring.googleapis.com/v3/projects/")


def jobs(region):
    return f"https://{region}-aiplatform.googleapis.com/v1/projects/{PROJECT}/locations/{region}/customJobs"


def job(accelerator="NVIDIA_TESLA_T4", count=1, machine="n1-standard-8"):
    gpus = {"acceleratorType": accelerator, "acceleratorCount": count} if accelerator else {}
    container = {"imageUri": "nobody/knows:this", "command": ["true"]}
    pool = {"machineSpec": {"machineType": machine, **gpus}, "containerSpec": container}
    return {"displayName": "quota", "jobSpec": {"workerPoolSpecs": [pool]}}


@pytest.mark.parametrize(
    ("region", "body", "metrics"),
    [
        ("us-west1", job(count=4), ["custom_model_training_nvidia_t4_gpus"]),
        ("us-west1", job(count=2), []),
        ("europe-west4", job("NVIDIA_L4", machine="g2-standard-8"), ["custom_model_training_nvidia_l4_gpus"]),
        ("us-west2", job("", machine="n1-standard-32"), ["custom_model_training_cpus"]),
        (
            "us-east4",
            job("NVIDIA_TESLA_P4", count=2, machine="n1-standard-32"),
            ["custom_model_training_cpus", "custom_model_training_nvidia_p4_gpus"],
        ),
    ],
)
def test_a_job_that_needs_more_than_a_quota_is_refused(session, region, body, metrics):
    base = f"https://serviceusage.googleapis.com/v1/projects/{PROJECT}/services"
    assert session.post(f"{base}/aiplatform.googleapis.com:enable").ok
    answer = session.post(jobs(region), json=body)
    if not metrics:
        assert answer.ok, answer.text
        return
    names = ",".join(f"aiplatform.googleapis.com/{metric}" for metric in metrics)
    words = f"The following quota metrics exceed quota limits: {names}"
    assert refused(answer) == (429, "RESOURCE_EXHAUSTED", words)


def test_a_lowered_quota_stops_jobs(session):
    ask = {"quotaPreferenceId": "none", "ignoreSafetyChecks": "QUOTA_DECREASE_PERCENTAGE_TOO_HIGH"}
    assert session.post(PREFERENCES, params=ask, json=preference(0, "europe-west4")).ok
    answer = session.post(jobs("europe-west4"), json=job())
    assert refused(answer)[:2] == (429, "RESOURCE_EXHAUSTED")
