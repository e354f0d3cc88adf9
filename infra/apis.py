"""The Google APIs that an account has switched on."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_gcp as gcp

from infra.settings import Settings

# What needs those that no resource here does: iamcredentials signs links, cloudbilling shows whether billing is linked,
# serviceusage tells which quotas are in use.
ALWAYS = (
    "aiplatform",
    "artifactregistry",
    "cloudbilling",
    "cloudquotas",
    "cloudresourcemanager",
    "iam",
    "iamcredentials",
    "logging",
    "monitoring",
    "run",
    "serviceusage",
    "storage",
)


# The provider asks it for the project before it looks at any other API.
_FIRST = "cloudresourcemanager"


class Apis(pulumi.ComponentResource):
    """Switched on, and left on by `down`: another program in the project may need them, and being on costs nothing."""

    def __init__(self, settings: Settings, opts: pulumi.ResourceOptions) -> None:
        super().__init__("cloudkite:account:Apis", "apis", None, opts)
        names = [*ALWAYS, *(["billingbudgets"] if settings.budget else []), *(["sts"] if settings.ci else [])]
        self.services: dict[str, gcp.projects.Service] = {}
        for name in sorted(names, key=lambda name: name != _FIRST):
            self.services[name] = gcp.projects.Service(
                f"api-{name}",
                service=f"{name}.googleapis.com",
                project=settings.project,
                disable_on_destroy=False,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[*self.services.values()][:1]),
            )
        self.register_outputs({"enabled": sorted(self.services)})

    def needed(self, *names: str) -> list[pulumi.Resource]:
        """What a resource that calls these APIs must wait for."""
        return [self.services[name] for name in names]

    def child(self, parent: pulumi.Resource, *names: str, **more: Any) -> pulumi.ResourceOptions:
        """Options of a resource inside `parent` that calls these APIs; `more` are further options."""
        return pulumi.ResourceOptions(parent=parent, depends_on=self.needed(*names), **more)
