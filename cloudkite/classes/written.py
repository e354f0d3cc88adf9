"""The settings of an account that a class works in: learners put into the teacher's, and whole ones for projects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from cloudkite.accounts import settings
from cloudkite.accounts.membership import FOLDER
from cloudkite.accounts.registry import Account
from cloudkite.classes.description import Class, Learner
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _
from cloudkite.workspace import write_atomically

_LEARNERS, _UNTIL = "cloudkite:learners", "cloudkite:learnersUntil"
# The key with all lines that are further in, or items of its list.
_BLOCK = r"(?m)^(?P<in>[ \t]+){key}[ \t]*:.*\n(?:(?P=in)(?:[ \t]+.*|-.*)\n|[ \t]*\n(?=(?P=in)[ \t]))*"


def learners(path: Path, made: Class) -> bool:
    """Write the class' learners into an account's settings, and leave all else there as it is; says if that changed it.

    Raises UserError where that can't be done by itself, BadValue for settings that are wrong.
    """
    before = settings.read(path)
    rows = [{"name": one.name, "member": one.member} for one in made.present if one.member]
    wanted = {key: value for key, value in before.items() if key not in (_LEARNERS, _UNTIL)}
    if rows:
        wanted |= {_LEARNERS: rows, _UNTIL: str(made.ends)}
    if wanted == before:
        return False
    text = path.read_text(encoding="utf-8")
    text = text if text.endswith("\n") else text + "\n"
    for key in (_LEARNERS, _UNTIL):
        text = re.sub(_BLOCK.format(key=re.escape(key)), "", text)
    indent = (re.search(r"(?m)^([ \t]+)(gcp|cloudkite):", text) or re.match("(  )", "  ") or [""])[0]
    indent = re.match(r"[ \t]*", indent).group(0)  # type: ignore[union-attr]
    lines = [f"{indent}{_LEARNERS}:"] + [f'{indent}- {{name: {r["name"]}, member: "{r["member"]}"}}' for r in rows]
    lines += [f'{indent}{_UNTIL}: "{made.ends}"']
    text += "".join(f"{line}\n" for line in lines) if rows else ""
    if _parsed(text) != wanted:
        raise UserError(
            _("the learners could not be written into {path}").format(path=path),
            _("write them there yourself, below config:\n{lines}").format(lines="\n".join(lines)),
        )
    settings.check(wanted, path.stem.removeprefix("Pulumi."))
    write_atomically(path, text, 0o644)
    return True


def _parsed(text: str) -> Any:
    import yaml

    try:
        document = yaml.safe_load(text)
        return document["config"]
    except (yaml.YAMLError, KeyError, TypeError):
        return None


def of_a_project(made: Class, learner: Learner) -> dict[str, Any]:
    """The settings of a learner's own project. Raises BadValue."""
    assert made.projects
    cap = made.cap_of(learner)
    config = settings.describe(
        made.project_of(learner),
        made.projects.region,
        target=made.projects.target,
        tier=made.projects.tier,
        owner=learner.member,
        billing_account=made.projects.billing,
        budget=float(cap) if cap is not None else None,
    )
    settings.check(config, made.project_of(learner))
    return config


def of_a_learner(account: Account, learner: Learner) -> dict[str, Any]:
    """The settings by which a learner reaches the project that the class shares: as the teacher's, and theirs alone."""
    config = settings.read(account.settings)
    kept = ("gcp:project", "gcp:region", "cloudkite:target", "cloudkite:tier", "cloudkite:bucketSuffix")
    told: dict[str, Any] = {key: config[key] for key in kept if key in config}
    if budget := config.get("cloudkite:budget"):
        told["cloudkite:budget"] = {
            key: budget[key] for key in ("billingAccount", "amount", "currency") if key in budget
        }
    told["cloudkite:owner"] = learner.member
    return told


def outputs_of(account: Account, learner: Learner) -> dict[str, Any]:
    """What `up` made, as a learner has it: the own folders for the buckets, the own account for the jobs.

    Raises UserError for an account that is not set up.
    """
    made = account.outputs()
    told = made.exported()
    told["buckets"] = {purpose: f"{uri}/{FOLDER}/{learner.name}" for purpose, uri in made.buckets.items()}
    told["trainer"] = f"learner-{learner.name}@{made.project}.iam.gserviceaccount.com"
    told["submitter"] = learner.member.partition(":")[2]
    told["ci"] = None
    return told


def refuse_bad_outputs(told: dict[str, Any] | None) -> None:
    """Raise BadValue for outputs in a code that this program did not write."""
    from infra.outputs import OtherSchema, Outputs

    place = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}(/learners/[a-z0-9-]+)?")
    try:
        found = Outputs.read(told or {})
        sound = all(isinstance(uri, str) and place.fullmatch(uri) for uri in found.buckets.values())
    except (KeyError, TypeError, OtherSchema):
        sound = False
    if not sound:
        raise BadValue(
            _("the code is of another version of this program"), _("the teacher makes a new one: class.codes")
        )
