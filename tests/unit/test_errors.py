"""Google's refusals become one message and one hint."""

import json

import pytest
import requests

from cloudkite.show.errors import from_google


def refusal(code, body):
    response = requests.Response()
    response.status_code = code
    response._content = json.dumps(body).encode() if not isinstance(body, str) else body.encode()
    return response


def error(code, message, status="", **info):
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", **info}] if info else []
    return refusal(code, {"error": {"code": code, "message": message, "status": status, "details": details}})


@pytest.mark.parametrize(
    ("response", "message", "hint", "code"),
    [
        (
            error(403, "Vertex AI API has not been used", "PERMISSION_DENIED", reason="SERVICE_DISABLED"),
            "submit: Vertex AI API has not been used",
            "`uv run invoke up` enables the APIs",
            1,
        ),
        (
            error(403, "Permission denied on resource project x.", "PERMISSION_DENIED", reason="CONSUMER_INVALID"),
            "submit: Permission denied on resource project x.",
            "check gcp:project",
            1,
        ),
        (
            error(
                403,
                "Permission 'aiplatform.customJobs.create' denied on resource",
                "PERMISSION_DENIED",
                reason="IAM_PERMISSION_DENIED",
                metadata={"permission": "aiplatform.customJobs.create"},
            ),
            "submit: Permission 'aiplatform.customJobs.create' denied on resource",
            "the permission aiplatform.customJobs.create is missing",
            1,
        ),
        (
            error(
                403, "This API method requires billing to be enabled.", "PERMISSION_DENIED", reason="BILLING_DISABLED"
            ),
            "submit: This API method requires billing to be enabled.",
            "no open billing account pays for the project",
            1,
        ),
        (
            refusal(
                403,
                {
                    "error": {
                        "code": 403,
                        "message": "The billing account for the owning project is disabled in state closed",
                        "errors": [{"reason": "accountDisabled"}],
                    }
                },
            ),
            "submit: The billing account for the owning project is disabled in state closed",
            "no open billing account pays for the project",
            1,
        ),
        (
            error(
                403,
                "Caller does not have required permission to use project p.",
                "PERMISSION_DENIED",
                reason="USER_PROJECT_DENIED",
            ),
            "submit: Caller does not have required permission to use project p.",
            "the project that calls are charged to wants serviceUsageConsumer",
            1,
        ),
        (
            error(400, "You do not have permission to act as service_account: a@b. (or it may not exist)."),
            "submit: You do not have permission to act as service_account: a@b. (or it may not exist).",
            "`uv run invoke up` gives the submitter that permission",
            1,
        ),
        (
            error(429, "Your project has exceeded its monthly spending cap. Project 1: lift it"),
            "submit: Your project has exceeded its monthly spending cap. Project 1: lift it",
            "wait for next month, or lift the spend cap under Billing > Budgets in Google's console",
            1,
        ),
        (
            error(429, "The following quota metrics exceed quota limits: aiplatform.googleapis.com/x"),
            "submit: The following quota metrics exceed quota limits: aiplatform.googleapis.com/x",
            "choose a smaller machine",
            1,
        ),
        (error(401, "Request had invalid credentials"), "submit: Request had invalid credentials", "sign in again", 4),
        (
            refusal(404, {"error": {"message": "No such object: b/o"}}),
            "submit: No such object: b/o",
            "check the name",
            1,
        ),
        (refusal(503, "Backend Error"), "submit: Backend Error", "check the network", 1),
        (refusal(502, [{"error": {"message": "in a list"}}]), "submit: in a list", "check the network", 1),
        (refusal(500, ""), "submit: 500", "check the network", 1),
    ],
)
def test_refusals(response, message, hint, code):
    told = from_google(response, "submit")
    assert told.message == message
    assert told.hint.startswith(hint)
    assert told.code == code


def test_a_lost_network_is_told_in_words():
    told = from_google(requests.ConnectionError("connection refused"), "list the jobs")
    assert told.message == "list the jobs: connection refused"
    assert "network" in told.hint


def test_expired_credentials_ask_to_sign_in():
    from google.auth.exceptions import RefreshError

    told = from_google(RefreshError("invalid_grant: Token has been expired or revoked."))
    assert told.code == 4
    assert "gcloud auth application-default login" in told.hint
