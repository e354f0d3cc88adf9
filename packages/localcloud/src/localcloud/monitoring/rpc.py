"""The same over gRPC, the only transport of Google's client library google.cloud.monitoring_v3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.monitoring.http import router
from localcloud.transport.transcoding import Rules, Table, transcoded

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud


def _collection(singular: str, plural: str, field: str) -> Rules:
    """The URLs of the methods of one collection.

    https://github.com/googleapis/googleapis/tree/master/google/monitoring/v3 (google.api.http of each)
    """
    one, all_of_them = f"projects/*/{plural}/*", f"/v3/{{name=projects/*}}/{plural}"
    title, titles = singular[0].upper() + singular[1:], plural[0].upper() + plural[1:]
    return {
        f"List{titles}": ("get", all_of_them, ""),
        f"Get{title}": ("get", f"/v3/{{name={one}}}", ""),
        f"Create{title}": ("post", all_of_them, field),
        f"Update{title}": ("patch", f"/v3/{{{field}.name={one}}}", field),
        f"Delete{title}": ("delete", f"/v3/{{name={one}}}", ""),
    }


def table(cloud: Cloud) -> Table:
    channels = _collection("notificationChannel", "notificationChannels", "notification_channel")
    policies = _collection("alertPolicy", "alertPolicies", "alert_policy")
    types = {
        name: rule
        for name, rule in _collection("notificationChannelDescriptor", "notificationChannelDescriptors", "").items()
        if name.startswith(("List", "Get"))
    }
    return transcoded(cloud, "google.cloud.monitoring_v3", router, {**channels, **types, **policies})
