"""Service accounts, their keys and allow policies: what is kept, and what may be."""

from __future__ import annotations

import json
import re
import secrets
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.directory import Buckets, Directory
from localcloud.core.asked.settling import AGENT, GRANT, Settling
from localcloud.core.errors import ApiError
from localcloud.core.state.documents import Documents, apply_mask
from localcloud.iam import grants, jwt, policies
from localcloud.iam.custom_roles import CustomRoles
from localcloud.iam.grants import Known
from localcloud.iam.policies import Policy

if TYPE_CHECKING:
    from localcloud.core.asked.callers import Caller
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
_ACCOUNT_ID = re.compile(r"[a-z][-a-z0-9]{4,28}[a-z0-9]")
_AGENT = re.compile(
    r"service-\d+@(gcp-sa-[a-z-]+|gs-project-accounts|serverless-robot-prod)\.iam\.gserviceaccount\.com"
)
# What Google grants its agents when it makes them.
_AGENT_ROLES = {
    "gcp-sa-aiplatform": "roles/aiplatform.serviceAgent",
    "gcp-sa-aiplatform-cc": "roles/aiplatform.customCodeServiceAgent",
    "serverless-robot-prod": "roles/run.serviceAgent",
}


class Iam:
    """The IAM state of one cloud.

    `generation` grows with each change that may end a token, `policy_generation` with each that may change who may do
    what: a policy, a custom role, an account that is gone.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._kept = Documents(cloud.folder("iam") / "iam.sqlite")
        self._lock = threading.RLock()
        self.generation = 0
        self.policy_generation = 0
        self._since: dict[tuple[str, str, str], float] = {}  # when grants were made that work only after a while
        self.custom_roles = CustomRoles(self._kept, cloud.clock, self._role_changed)
        self._known = Known(
            self.custom_roles.find,
            self.find_service_account,
            self._has_agent,
        )
        cloud.count("service accounts", lambda: len(self._kept.list("account")))

    def _role_changed(self) -> None:
        with self._lock:
            self.policy_generation += 1

    # Service accounts

    def owner(self, project: str) -> str:
        """The account that a client of this project acts as by default."""
        return f"owner@{project}.iam.gserviceaccount.com"

    def is_person(self, caller: Caller) -> bool:
        """Whether a caller stands for the person at this machine: the owner account of any project does.

        All callers are service accounts here; what Google lets only people do, these may.
        """
        return bool(caller.email) and caller.email == self.owner(caller.project)

    def create_service_account(
        self, project: str, account_id: str, display_name: str = "", description: str = ""
    ) -> Body:
        """A new account. Raises 400 for an id that can't be, 409 when there is one."""
        if not 6 <= len(account_id) <= 30:  # https://github.com/google/litmus/issues/107
            raise ApiError(400, f'The account ID "{account_id}" does not have a length between 6 and 30.')
        if not _ACCOUNT_ID.fullmatch(account_id):
            raise ApiError(
                400,
                f"Invalid service account ID '{account_id}'. It must be 6 to 30 characters long, and may have "
                "lowercase letters, digits and hyphens, and must start with a letter.",
            )
        return self._create_account(
            project, f"{account_id}@{project}.iam.gserviceaccount.com", display_name, description
        )

    def ensure_account(self, project: str, email: str, display_name: str = "", agent: bool = False) -> Body:
        """The account `email`, made if needed: owners, default accounts and Google's service agents (not listed)."""
        with self._lock:
            return self.find_service_account(email) or self._create_account(project, email, display_name, agent=agent)

    def service_agent(self, project: str, service: str) -> str:
        """The e-mail of Google's own account for a service in a project, such as "gcp-sa-aiplatform-cc".

        One that is new gets its role in the project, as on Google: https://cloud.google.com/iam/docs/service-agents
        """
        found = self._cloud.of(Directory).get(project)
        email = f"service-{found['projectNumber']}@{service}.iam.gserviceaccount.com"
        with self._lock:
            if self.find_service_account(email) is None:
                self.ensure_account(found["projectId"], email, agent=True)
                if role := _AGENT_ROLES.get(service):
                    self.add_member(f"projects/{found['projectId']}", role, f"serviceAccount:{email}")
        return email

    def _has_agent(self, email: str) -> bool:
        """Whether one of Google's agents is there: in a fresh project it appears a while after its API is on."""
        match = _AGENT.fullmatch(email)
        project = self._cloud.of(Directory).find(re.split(r"[-@]", email)[1]) if match else None
        if match is None or project is None or not project.get("fresh") or self.find_service_account(email):
            return True
        name = match[1].removeprefix("gcp-sa-").removesuffix("-cc")
        service = {"gs-project-accounts": "storage", "serverless-robot-prod": "run"}.get(name, name)
        since = project.get("enabledAt", {}).get(f"{service}.googleapis.com")
        on = f"{service}.googleapis.com" in project["services"]
        return on and (since is None or not self._cloud.of(Settling).refuses(since, AGENT))

    def _create_account(
        self, project: str, email: str, display_name: str = "", description: str = "", agent: bool = False
    ) -> Body:
        name = f"projects/{project}/serviceAccounts/{email}"
        unique = "1" + "".join(secrets.choice("0123456789") for _ in range(20))
        body = {"name": name, "projectId": project, "uniqueId": unique, "email": email, "displayName": display_name}
        body |= {"description": description} if description else {}
        body |= {"oauth2ClientId": unique, "etag": policies.new_etag()}
        with self._lock:
            if self.find_service_account(email):
                info = {"@type": "type.googleapis.com/google.rpc.ResourceInfo", "resourceName": name}
                account_id = email.partition("@")[0]
                message = f"Service account {account_id} already exists within project projects/{project}."
                raise ApiError(409, message, details=[info])
            return self._kept.put(f"accounts/{email}", "agent" if agent else "account", body)

    def find_service_account(self, email: str) -> Body | None:
        """The account, or None."""
        return self._kept.find(f"accounts/{email}")

    def get_service_account(self, email: str) -> Body:
        """The account by its e-mail or its unique id. Raises 404."""
        found = self.find_service_account(email)
        if found is None and email.isdigit():
            found = next((a for a in self._kept.list("account") if a["uniqueId"] == email), None)
        if found is None:
            raise ApiError(404, "Unknown service account")
        return found

    def find_managed(self, email: str) -> Body | None:
        """An account that people manage, or None: nobody else can see or act as one of Google's own agents."""
        found = self.find_service_account(email)
        return None if found is None or _AGENT.fullmatch(found["email"]) else found

    def get_managed(self, email: str) -> Body:
        """The same by its e-mail or its unique id. Raises 404."""
        found = self.get_service_account(email)
        if _AGENT.fullmatch(found["email"]):
            raise ApiError(404, "Unknown service account")
        return found

    def list_service_accounts(self, project: str) -> list[Body]:
        """All accounts of a project, by e-mail."""
        return [account for account in self._kept.list("account") if account["projectId"] == project]

    def update_service_account(self, email: str, changes: Body, mask: str | None = None) -> Body:
        """Change displayName, description or disabled. Raises 404."""
        allowed = {name: changes[name] for name in ("displayName", "description", "disabled") if name in changes}
        with self._lock:
            account = self.get_service_account(email)
            merged = apply_mask(account, allowed, mask) | {"etag": policies.new_etag()}
            self.generation += 1
            return self._kept.put(f"accounts/{account['email']}", "account", merged)

    def delete_service_account(self, email: str) -> None:
        """Forget the account, its keys and its policy; policies that name it say so. Raises 404."""
        with self._lock:
            account = self.get_service_account(email)
            email = account["email"]
            for key in self.list_keys(email):
                self._kept.delete(f"keys/{key['name'].rpartition('/')[2]}")
            self._kept.delete(f"accounts/{email}")
            self.forget_policy(account["name"])
            old, gone = f"serviceAccount:{email}", f"deleted:serviceAccount:{email}?uid={account['uniqueId']}"
            for kept in self._kept.list("policy"):
                if old in policies.members_of(kept["policy"]):
                    text = json.dumps(kept).replace(json.dumps(old), json.dumps(gone))
                    self._kept.put(f"policies/{kept['resource']}", "policy", json.loads(text))
            self.generation += 1
            self.policy_generation += 1

    # Keys

    def new_key(self, email: str) -> Body:
        """Make a key and give the JSON of its key file, the only copy of the private half. Raises 404."""
        account = self.get_service_account(email)
        private = jwt.new_key()
        key_id = secrets.token_hex(20)
        now = self._cloud.clock.now()
        self._kept.put(
            f"keys/{key_id}",
            "key",
            {
                "name": f"{account['name']}/keys/{key_id}",
                "email": account["email"],
                "publicPem": jwt.public_pem(private),
                "keyAlgorithm": "KEY_ALG_RSA_2048",
                "keyOrigin": "GOOGLE_PROVIDED",
                "keyType": "USER_MANAGED",
                "validAfterTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "validBeforeTime": "9999-12-31T23:59:59Z",
            },
        )
        address = "https://www.googleapis.com/robot/v1/metadata/x509/" + account["email"].replace("@", "%40")
        return {
            "type": "service_account",
            "project_id": account["projectId"],
            "private_key_id": key_id,
            "private_key": jwt.private_pem(private),
            "client_email": account["email"],
            "client_id": account["uniqueId"],
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": "https://oauth2.googleapis.com/token",
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "client_x509_cert_url": address,
            "universe_domain": "googleapis.com",
        }

    def find_key(self, key_id: str) -> Body | None:
        """The public half of a key ("publicPem", "email", and the resource's fields), or None."""
        return self._kept.find(f"keys/{key_id}")

    def list_keys(self, email: str) -> list[Body]:
        """The account's keys (public halves)."""
        return [key for key in self._kept.list("key") if key["email"] == email]

    def get_key(self, email: str, key_id: str) -> Body:
        """A key of the account. Raises 404."""
        key = self.find_key(key_id)
        if key is None or key["email"] != email:
            raise ApiError(404, f"Service account key {key_id} does not exist.")
        return key

    def disable_key(self, email: str, key_id: str, disabled: bool) -> None:
        """Let a key sign in no more, or again. Raises 404."""
        with self._lock:
            self._kept.put(f"keys/{key_id}", "key", self.get_key(email, key_id) | {"disabled": disabled})
            self.generation += 1

    def delete_key(self, email: str, key_id: str) -> None:
        """Forget a key; tokens bought with it end. Raises 404."""
        with self._lock:
            self.get_key(email, key_id)
            self._kept.delete(f"keys/{key_id}")
            self.generation += 1

    @cached_property
    def _system_keys(self) -> dict[str, Any]:
        return {}

    def sign(self, email: str, data: bytes) -> tuple[str, bytes]:
        """Sign `data` (RS256) as Google does with an account's own hidden key: (key id, signature)."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        account = self.get_service_account(email)
        with self._lock:
            if email not in self._system_keys:
                key_file = self.new_key(account["email"])
                key_id = key_file["private_key_id"]
                hidden = self._kept.get(f"keys/{key_id}") | {"keyType": "SYSTEM_MANAGED"}
                self._kept.put(f"keys/{key_id}", "key", hidden)
                self._system_keys[email] = (key_id, jwt.load_private_pem(key_file["private_key"]))
            key_id, key = self._system_keys[email]
        return key_id, key.sign(data, padding.PKCS1v15(), hashes.SHA256())

    # Allow policies

    def get_policy(self, resource: str) -> Policy:
        """The policy of a resource such as "projects/p" or "buckets/b"; an empty one where none was set."""
        kept = self._kept.find(f"policies/{resource}")
        return kept["policy"] if kept else dict(policies.EMPTY)

    def set_policy(self, resource: str, policy: Policy) -> Policy:
        """Replace the policy. Raises 409 ABORTED for an etag that is not the present one, 400 or 501."""
        project = self._project_of(resource)
        with self._lock:
            return self._set(resource, policy, project)

    def _set(self, resource: str, policy: Policy, project: str) -> Policy:
        present = self.get_policy(resource)
        policies.check_etag(policy, present)
        made = policies.normalise(policy)
        grants.check(self._known, resource, made, present, project)
        kept = {"resource": resource, "policy": made}
        put = self._kept.put(f"policies/{resource}", "policy", kept)["policy"]
        self._note_new(resource, made, present, project)
        self.policy_generation += 1
        return put

    def _project_of(self, resource: str) -> str:
        """Whose a bucket or a project is, "" for anything else.

        Asked before the lock is taken: who makes a bucket holds that of the buckets, and sets the policy then.
        """
        kind, _, name = resource.partition("/")
        if kind == "buckets":
            return self._cloud.of(Buckets).bucket_project(name)
        return name.partition("/")[0] if kind == "projects" else ""

    def _note_new(self, resource: str, policy: Policy, before: Policy, project: str) -> None:
        """In a fresh project a grant takes a while until it works; what projects and agents have by themselves not."""
        if resource.partition("/")[0] in ("buckets", "projects") and self._cloud.of(Settling).is_fresh(project):
            now = self._cloud.clock.time()
            for role, member in policies.pairs(policy) - policies.pairs(before):
                if not member.startswith("project") and not _AGENT.fullmatch(member.partition(":")[2]):
                    self._since[resource, role, member] = now

    def is_early(self, resource: str, role: str, member: str) -> bool:
        """Whether a grant was made so recently that it doesn't work yet. A restart of the server forgets it."""
        since = self._since.get((resource, role, member)) if self._since else None
        return since is not None and self._cloud.of(Settling).is_early(since, GRANT)

    def list_policies(self) -> list[tuple[str, Policy]]:
        """(resource, policy) of all that have one."""
        return [(kept["resource"], kept["policy"]) for kept in self._kept.list("policy")]

    def copy_policy(self, resource: str, to: str) -> None:
        """Keep a resource's policy, as it is, under another name too."""
        with self._lock:
            kept = {"resource": to, "policy": self.get_policy(resource)}
            self._kept.put(f"policies/{to}", "policy", kept)
            self.policy_generation += 1

    def forget_policy(self, resource: str) -> None:
        """Drop the policy of a resource that is gone."""
        with self._lock:
            if self._kept.find(f"policies/{resource}"):
                self._kept.delete(f"policies/{resource}")
                self.policy_generation += 1

    def add_member(self, resource: str, role: str, member: str, condition: Policy | None = None) -> Policy:
        """Give `member` a role on a resource; nothing changes when it has it."""
        project = self._project_of(resource)
        with self._lock:
            changed = policies.with_member(self.get_policy(resource), role, member, condition)
            return self._set(resource, changed, project)

    def remove_member(self, resource: str, role: str, member: str, condition: Policy | None = None) -> Policy:
        """Take a role away; nothing changes when the member has it not."""
        project = self._project_of(resource)
        with self._lock:
            changed = policies.without_member(self.get_policy(resource), role, member, condition)
            return self._set(resource, changed, project)
