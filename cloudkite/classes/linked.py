"""How many projects a billing account may pay for: what is linked already is read, the limit can only be said.

Google documents that there is a limit and a form to ask for more, and neither a number nor an API that tells it; new
billing accounts are reported to have five (description.LINKED names the source). What it answers beyond is "Cloud
billing quota exceeded": https://github.com/hashicorp/terraform-provider-google/issues/1892
"""

from __future__ import annotations

from collections.abc import Collection

from cloudkite.accounts.api import pages
from cloudkite.accounts.target import Target
from cloudkite.classes.description import Class
from cloudkite.show.errors import UserError
from cloudkite.show.text import _

MORE = "https://support.google.com/code/contact/billing_quota_increase"


def projects(target: Target, billing: str) -> set[str]:
    """The ids of the projects that the billing account pays for. Raises UserError.

    https://cloud.google.com/billing/docs/reference/rest/v1/billingAccounts.projects/list
    """
    doing = _("look which projects billing account {billing} pays for").format(billing=billing)
    url = f"https://cloudbilling.googleapis.com/v1/billingAccounts/{billing}/projects"
    return {row["projectId"] for row in pages(target, url, "projectBillingInfo", doing, {"pageSize": 100})}


def refuse(made: Class, paid: Collection[str]) -> None:
    """Raise UserError when the class' projects would be more than the billing account may link."""
    assert made.projects
    wanted = {made.project_of(one) for one in made.present if one.email}
    new = len(wanted - set(paid))
    total = len(paid) + new
    if not new or total <= made.projects.limit:
        return
    raise UserError(
        _(
            "billing account {billing} may link {limit} projects: it pays for {paid}, and the class needs {new} more"
        ).format(billing=made.projects.billing, limit=made.projects.limit, paid=len(paid), new=new),
        _(
            "ask Google for {total}: {form}; once that is granted, write limit = {total} below [projects]. "
            'Or take form = "shared", one project for all'
        ).format(total=total, form=MORE),
    )
