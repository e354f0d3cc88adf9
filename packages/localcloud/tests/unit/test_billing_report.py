"""The bill as a person reads it: which job, for how long, how much; what goes on; what was free."""

from __future__ import annotations

from datetime import date

from localcloud.billing import charges, pacific, report
from localcloud.billing.ledger import STORAGE, Counted
from localcloud.commands import money
from localcloud.core.asked.counts import CLASS_A, LOGS, Thing
from localcloud.core.asked.usage import Pool, Span

PAYER = "billingAccounts/012345-6789AB-CDEF01"
HOUR, GIB = 3600, 1 << 30
START = pacific.begin(date(2026, 6, 10))
BUCKET = Thing("my-data", "STANDARD", "US-CENTRAL1", "my-project", PAYER, "{}")
LOGS_OF = Thing("", "", "", "my-project", "", "{}")


def job(number: int, title: str, ended: int | None, *pools: Pool) -> Span:
    resource = f"locations/us-central1/customJobs/{number}"
    return Span(resource, "training", "my-project", PAYER, "us-central1", pools, {}, START, ended, title)


def test_a_bill_says_what_ran_for_how_long_and_what_goes_on() -> None:
    now = START + 5 * HOUR
    spans = [
        job(1, "grades", START + HOUR * 5 // 4, Pool("n1-standard-4", 1, disk="pd-ssd", disk_gb=100)),
        job(2, "penguins", None, Pool("n1-standard-8", 2)),
        job(3, "rare", START + 20, Pool("a4-highgpu-8g", 1)),
    ]
    counted = [
        Counted(date(2026, 6, 10), STORAGE, BUCKET, 105 * GIB * 30 * 24 * HOUR),
        Counted(date(2026, 6, 10), CLASS_A, BUCKET, 120),
        Counted(date(2026, 6, 10), LOGS, LOGS_OF, 3 * GIB),
    ]
    found = charges.lines(spans, counted, now)
    shown = report.bill(found, charges.hourly(spans, {BUCKET: 105 * GIB}, now), found)
    text = money.table(shown | {"other_currencies": [], "trials": {}, "mail": []})
    assert text.splitlines() == [
        "my-project: Cloud Storage",
        "  buckets/my-data",
        "    Standard Storage in us-central1",
        "      105.0000 GiB-months                             2.0000 USD",
        "my-project: Vertex AI",
        '  customJobs/1 "grades", us-central1',
        "    Training/Pipelines on n1-standard-4 in us-central1",
        "      1 h 15 min                                      0.2731 USD",
        "    Training/Pipelines on pd-ssd of 100 GB in us-central1",
        "      1 h 15 min                                      0.0335 USD",
        '  customJobs/2 "penguins", us-central1',
        "    Training/Pipelines on n1-standard-8 in us-central1",
        "      10 h 0 min                                      4.3700 USD",
        '  customJobs/3 "rare", us-central1',
        "    Training/Pipelines on a4-highgpu-8g in us-central1",
        "      30 s                                         not known USD",
        "",
        "cost 6.6766 USD",
        "total 6.6766 USD, before taxes",
        "no price is known, so not in the total: Vertex AI: Training/Pipelines on a4-highgpu-8g in us-central1",
        "goes on to cost 21.05 USD a day:",
        '     20.98 USD  customJobs/2 "penguins", us-central1',
        "      0.07 USD  buckets/my-data",
        "free this month, so far used:",
        "  120 of 5,000 Class A operations of Standard storage (012345-6789AB-CDEF01)",
        "  5.0000 of 5 GiB-months of Standard storage (012345-6789AB-CDEF01)",
        "  3.0000 of 50 GiB of logs (my-project)",
    ]
