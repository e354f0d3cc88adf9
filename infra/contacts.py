"""The e-mail addresses that hear of alerts."""

from __future__ import annotations

import pulumi
import pulumi_gcp as gcp

from infra.apis import Apis
from infra.settings import Settings


class Contacts(pulumi.ComponentResource):
    """`channels` are the ids of Cloud Monitoring's notification channels, one an address."""

    def __init__(self, settings: Settings, apis: Apis, opts: pulumi.ResourceOptions) -> None:
        super().__init__("cloudkite:account:Contacts", "contacts", None, opts)
        emails = settings.budget.emails if settings.budget else ()
        self.channels: list[pulumi.Output[str]] = [
            gcp.monitoring.NotificationChannel(
                f"mail-{email}",
                type="email",
                display_name=email,
                labels={"email_address": email},
                user_labels=settings.labels,
                project=settings.project,
                # Else a channel that a policy still names can't be taken away.
                force_delete=True,
                opts=apis.child(self, "monitoring"),
            ).id
            for email in emails
        ]
        self.register_outputs({"channels": self.channels})
