"""The questions of `start` on a local cloud, in their order, each with answers that are wrong and right."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A question by what stands before its answer; wrong answers with error and hint; then the right ones.

    An answer of several lines is one to the question, and to what is asked about the answer.
    """

    asked: str
    wrong: tuple[tuple[str, str, str], ...]
    right: tuple[str, ...]


STEPS = (
    Step(
        "google or local [google]: ",
        (("amazon", "'amazon' isn't an answer", "type google or local"),),
        ("local",),
    ),
    Step(
        "name for the account on this machine [practice]: ",
        (
            ("My Account", "'My Account' isn't a valid name for an account", "2 to 30 lower-case letters, digits and "),
            ("other", "there is an account other already", "uv run invoke account.use other, or choose another name"),
        ),
        ("mine",),
    ),
    Step("trial or paid [trial]: ", (("free", "'free' isn't an answer", "type trial or paid"),), ("paid",)),
    Step(
        "project: a number above, or an id [mine-project]: ",
        (
            ("Bad Project", "gcp:project is 'Bad Project'", "a project id is needed: 6 to 30 lower-case letters, "),
            (
                "others-project",
                "project others-project is account other's: each account needs a project of its own",
                "uv run invoke account.use other, or give mine another project",
            ),
            ("mine-second\nn", "no project was made", "type a number above, or another id"),
        ),
        ("mine-second", "y"),
    ),
    Step(
        "billing account: a number above, or its id [012345-6789AB-CDEF01]: ",
        (
            ("7", "cloudkite:budget.billingAccount is '7'", "an id like 012345-6789AB-CDEF01 is needed (Billing "),
            ("ABCDEF-ABCDEF-ABCDEF", "ABCDEF-ABCDEF-ABCDEF isn't among your open billing accounts", "type a number"),
            ("1\nn", "nothing was linked", "type the number of the one that is to pay"),
        ),
        ("1", "y"),
    ),
    Step(
        "may your data leave your country? yes or no: ",
        (("", "'' is neither yes nor no", "type yes or no"), ("maybe", "'maybe' is neither yes nor no", "type yes ")),
        ("no",),
    ),
    Step(
        "where must the data stay?: ",
        (("Atlantis", "there is no region with training in 'Atlantis'", "there is one in: Australia, Belgium, "),),
        ("korea",),
    ),
    Step(
        "region: a number above, or a name [asia-northeast3]: ",
        (
            ("us-central1", "us-central1 isn't where your data may be", "one of: asia-northeast3"),
            ("asia-north", "gcp:region is 'asia-north'", "a region with custom training is needed, did you mean"),
        ),
        ("",),
    ),
    Step(
        "budget, such as 5EUR or 7000KRW [10USD]: ",
        (
            ("ten", "'ten' isn't an amount of money", "for example 5EUR or 7000KRW"),
            ("0", "'0' isn't an amount of money", "an amount above 0 is needed, for example 5EUR"),
            (
                "5EUR",
                "the billing account is in USD, and a budget must be in its currency, not in EUR",
                "give the amount in USD, such as 5USD if that is what you mean",
            ),
        ),
        ("5",),
    ),
    Step(
        "who submits jobs [serviceAccount:owner@mine-second.iam.gserviceaccount.com]: ",
        (("me", "cloudkite:owner is 'me'", "user:E-MAIL or serviceAccount:E-MAIL is needed"),),
        ("",),
    ),
    Step(
        "e-mail address for alerts: ",
        (("me@home", "cloudkite:budget.emails is ['me@home']", "a list of at most five different e-mail addresses"),),
        ("me@example.com",),
    ),
)
