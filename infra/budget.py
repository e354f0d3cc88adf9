"""The budget of a month or of a free trial: who is told, and when.

It warns, hours late; what holds at once is each job's time limit. What acts on its messages is stops.py.
"""

from __future__ import annotations

import datetime
from decimal import Decimal

import pulumi
import pulumi_gcp as gcp

from infra.apis import Apis
from infra.contacts import Contacts
from infra.settings import Budget, Settings
from infra.stop.stages import STAGES

TRIAL_DAYS = 90  # https://cloud.google.com/free/docs/free-cloud-features#free-trial


class MonthlyBudget(pulumi.ComponentResource):
    """`name` is the budget's full resource name; `currency` what the billing account counts in."""

    def __init__(
        self,
        settings: Settings,
        budget: Budget,
        apis: Apis,
        contacts: Contacts,
        project_number: pulumi.Input[str],
        opts: pulumi.ResourceOptions,
        topic: pulumi.Output[str] | None = None,
    ) -> None:
        """`topic` is told what is spent, several times a day; None for nobody who listens."""
        super().__init__("cloudkite:account:MonthlyBudget", "budget", None, opts)
        billing = gcp.billing
        units, nanos = _parts(budget.amount)
        made = billing.Budget(
            # Another name for another period: so none has to be turned into the other, of which Google says nothing.
            "trial-budget" if budget.period == "trial" else "monthly-budget",
            billing_account=budget.billing_account,
            display_name=f"cloudkite {settings.stack} ({settings.project})"[:60],  # 60 is Google's limit
            amount=billing.BudgetAmountArgs(
                specified_amount=billing.BudgetAmountSpecifiedAmountArgs(
                    currency_code=budget.currency, units=str(units), nanos=nanos or None
                )
            ),
            budget_filter=billing.BudgetBudgetFilterArgs(
                projects=[pulumi.Output.concat("projects/", project_number)],
                calendar_period="MONTH" if budget.period == "month" else None,
                custom_period=_trial(settings) if budget.period == "trial" else None,
                # The default counts credits: while a trial's credit pays, the cost would be 0 and nothing be reported.
                credit_types_treatment="EXCLUDE_ALL_CREDITS",
            ),
            threshold_rules=[
                *(_threshold(part, "CURRENT_SPEND") for part in _parts_told(budget, topic is not None)),
                # Of a period of one's own there is no forecast: Google refuses the rule (ThresholdRule.Basis).
                *((_threshold(1.0, "FORECASTED_SPEND"),) if budget.period == "month" else ()),
            ],
            # A rule wants somebody to tell; without, Google writes to those who administer the billing account.
            all_updates_rule=billing.BudgetAllUpdatesRuleArgs(
                monitoring_notification_channels=contacts.channels or None,
                enable_project_level_recipients=True,
                pubsub_topic=topic,
                schema_version=None if topic is None else "1.0",
            )
            if contacts.channels or topic is not None
            else None,
            opts=apis.child(self, "billingbudgets"),
        )
        self.name: pulumi.Output[str] = made.id
        self.currency: pulumi.Output[str | None] = made.amount.apply(
            lambda amount: amount.specified_amount.currency_code if amount.specified_amount else None
        )
        self.register_outputs({"name": self.name})


def _trial(settings: Settings) -> gcp.billing.BudgetBudgetFilterCustomPeriodArgs | None:
    """From the day before the trial began, which is its first in Pacific time for people east of it, to its 90th day
    after, in part of which the credit still pays."""
    if settings.trial_started is None:  # refused with the settings
        return None
    first, last = (settings.trial_started + datetime.timedelta(days=days) for days in (-1, TRIAL_DAYS))
    return gcp.billing.BudgetBudgetFilterCustomPeriodArgs(
        start_date=gcp.billing.BudgetBudgetFilterCustomPeriodStartDateArgs(
            year=first.year, month=first.month, day=first.day
        ),
        end_date=gcp.billing.BudgetBudgetFilterCustomPeriodEndDateArgs(year=last.year, month=last.month, day=last.day),
    )


def _parts_told(budget: Budget, acted_on: bool) -> tuple[float, ...]:
    """The thresholds at which a message is sent at once: where somebody acts on them, the stages too."""
    return tuple(sorted({*budget.thresholds, *(stage / 100 for stage in STAGES if acted_on)}))


def _parts(amount: Decimal) -> tuple[int, int]:
    """Whole units and billionths, as google.type.Money has them."""
    units = int(amount)
    return units, int((amount - units).scaleb(9))


def _threshold(part: float, basis: str) -> gcp.billing.BudgetThresholdRuleArgs:
    return gcp.billing.BudgetThresholdRuleArgs(threshold_percent=part, spend_basis=basis)
