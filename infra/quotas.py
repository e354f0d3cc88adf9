"""Quotas: guard-rails that lower what a project may use at once, and requests for more."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_gcp as gcp

from infra.apis import Apis
from infra.known import Preference
from infra.settings import Settings

# Google never tells them again: after an adoption they are missing, and would be sent for nothing.
_UNTOLD = ["contactEmail", "justification", "ignoreSafetyChecks"]


class Quotas(pulumi.ComponentResource):
    """The preferences that were chosen for the settings (docs/decisions/0029).

    A preference can't be deleted on Google: `down` leaves it, and the quota keeps its value.
    """

    def __init__(
        self, settings: Settings, preferences: Sequence[Preference], apis: Apis, opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("cloudkite:account:Quotas", "quotas", None, opts)
        for one in preferences:
            gcp.cloudquota.SQuotaPreference(
                one.slug,
                name=one.name,
                parent=f"projects/{settings.project}",
                service=one.service,
                quota_id=one.quota_id,
                dimensions={"region": one.region},
                quota_config={"preferred_value": str(one.value)},
                contact_email=settings.contact if one.asks else None,
                justification="TensorFlow training" if one.asks else None,
                # Else a decrease of more than 10 % at once is refused; one below what is in use still is.
                ignore_safety_checks="QUOTA_DECREASE_PERCENTAGE_TOO_HIGH",
                opts=apis.child(
                    self,
                    "cloudquotas",
                    "aiplatform",
                    retain_on_delete=True,
                    ignore_changes=_UNTOLD if one.settled else None,
                ),
            )
        self.register_outputs({"values": {one.slug: one.value for one in preferences}})
