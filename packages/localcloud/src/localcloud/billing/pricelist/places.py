"""Names of places in descriptions of SKUs: https://cloud.google.com/skus shows "E2 Instance Core running in Zurich"."""

from __future__ import annotations

# Regions that pay the same have one SKU together.
GROUPS = {"Americas": ("us-central1", "us-east1", "us-west1"), "EMEA": ("europe-west1",), "APAC": ("asia-east1",)}
_NAMES = {
    "africa-south1": "Johannesburg", "asia-east2": "Hong Kong", "asia-northeast1": "Tokyo", "asia-northeast2": "Osaka",
    "asia-northeast3": "Seoul", "asia-south1": "Mumbai", "asia-south2": "Delhi", "asia-southeast1": "Singapore",
    "asia-southeast2": "Jakarta", "australia-southeast1": "Sydney", "australia-southeast2": "Melbourne",
    "europe-central2": "Warsaw", "europe-north1": "Finland", "europe-southwest1": "Madrid",
    "europe-west1": "Belgium", "europe-west10": "Berlin", "europe-west12": "Turin", "europe-west2": "London",
    "europe-west3": "Frankfurt", "europe-west4": "Netherlands", "europe-west6": "Zurich", "europe-west8": "Milan",
    "europe-west9": "Paris", "asia-east1": "Taiwan", "me-central1": "Doha", "me-central2": "Dammam",
    "me-west1": "Israel", "northamerica-northeast1": "Montreal", "northamerica-northeast2": "Toronto",
    "northamerica-south1": "Mexico", "southamerica-east1": "Sao Paulo", "southamerica-west1": "Santiago",
    "us-central1": "Iowa", "us-east1": "South Carolina", "us-east4": "Northern Virginia", "us-east5": "Columbus",
    "us-south1": "Dallas", "us-west1": "Oregon", "us-west2": "Los Angeles", "us-west3": "Salt Lake City",
    "us-west4": "Las Vegas",
}  # fmt: skip


def name(region: str) -> str:
    """What Google's price list calls a region; its own name where that isn't known."""
    return _NAMES.get(region, region)
