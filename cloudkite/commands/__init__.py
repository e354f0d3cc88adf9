"""Commands of Invoke, and the groups `account` and `local`, a file each; here is what all have in common.

A command is thin: it reads its options, calls a journey and prints.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.parser.argument import Argument
from invoke.tasks import Task, task

from cloudkite.show import command_line
from cloudkite.show.text import _

command_line.adopt()  # before the commands are loaded, which may be interrupted, and may not be what was typed

# The help of options that several commands have.
TRAINER = "the trainer's name or folder"
ACCOUNT = "another account than the one in use"
ACCOUNTS = "several accounts at once: a,b,c"
ALL = "all accounts at once"
JSON = "print JSON"
NOTIFY = "show a message on this desktop when a job fails"
ONE_JOB = {"job": "a job's name or id, the start of one, or a trainer's name (default: the newest)", "account": ACCOUNT}


class _Command(Task[Any]):
    """A task that may have words more or less: `fetch` and `fetch grades`, which Invoke itself can't tell apart.

    `maybe` names the option that a word without an option's name is for, `many` the one that several such words are
    for: its value is then a list. `only_with` is the option without which there are none.
    """

    maybe = ""
    many = ""
    only_with = ""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Its options; `maybe` and `many` are positional ones where this command line has words for them."""
        found = super().get_arguments(ignore_unknown_help)
        named = self.maybe or self.many
        words = _words(sys.argv, self.name, found) if named and self.only_with in ("", *sys.argv) else []
        for argument in found if words else ():
            if argument.name == named:
                argument.positional, argument.default = True, None
        places = [one for one in found if one.positional]
        more = len(words) - 1 if self.many and not _HELP & set(sys.argv) else 0
        places += [Argument(name=f"{named}_{number}", positional=True) for number in range(2, 2 + more)]
        return [*places, *(one for one in found if not one.positional)]


_HELP = {"-h", "--help"}


def _words(line: list[str], name: str, options: list[Argument]) -> list[str]:
    """The words after the command's name that belong to no option, up to the next command or an option not its own."""
    words = line[: line.index("--")] if "--" in line else line
    start = next((i for i, word in enumerate(words) if i and word.rpartition(".")[2] == name), len(words))
    flags = {f"--{n.replace('_', '-')}": one.takes_value for one in options for n in one.names}
    found: list[str] = []
    before = ""
    for word in words[start + 1 :]:
        if flags.get(before):
            pass  # its value
        elif not word.startswith("-"):
            if found and word in _commands():
                break
            found.append(word)
        elif word.partition("=")[0] not in flags:
            break
        before = word
    return found


@functools.cache
def _commands() -> frozenset[str]:
    """The names of the commands that stand for themselves."""
    return frozenset(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))


def command(
    *, name: str | None = None, maybe: str = "", many: str = "", only_with: str = "", **options: Any
) -> Callable[[Callable[..., Any]], Any]:
    """An Invoke task whose mistakes are told as `error:` and `hint:`; `--debug` shows the traceback instead.

    `maybe` names the option that may be given without its name: `logs grades`; `many` one of which there may be
    several, `only_with` the option that they go with. What --list and --help show of it (its docstring, `help`) is in
    the reader's language.
    """
    options["help"] = {option: _(said) for option, said in options.get("help", {}).items()}

    def decorate(body: Callable[..., Any]) -> Any:
        @functools.wraps(body)
        def run(c: Context, *arguments: Any, **values: Any) -> None:
            from cloudkite.show import mistakes

            with mistakes.told(debug="--debug" in sys.argv or "-d" in sys.argv):
                command_line.interruptible()
                _sweep()
                if many:
                    more = [values.pop(key) for key in list(values) if key.startswith(f"{many}_")]
                    values[many] = [word for word in (values[many], *more) if word]
                body(c, *arguments, **values)

        run.__doc__ = _(body.__doc__ or "")
        made: Any = task(run, name=name, klass=_Command, auto_shortflags=False, **options)
        made.maybe, made.many, made.only_with = maybe, many, only_with
        return made

    return decorate


def _sweep() -> None:
    """Remove what a command left that was killed, and say so."""
    from cloudkite import leftovers, workspace
    from cloudkite.show import amounts, screen

    if gone := leftovers.sweep(workspace.find()):
        shown = ", ".join(map(amounts.short, gone[:3])) + (", ..." if len(gone) > 3 else "")
        screen.note(_("removed what a killed command left: {what}").format(what=shown))
    _end_orphans()


def _end_orphans() -> None:
    """End the tries of a tuning command that was killed, and say so."""
    from cloudkite import workspace

    space = workspace.find()
    if not (space.state / "tuning").is_dir():  # nothing was ever tuned: nothing to load for it
        return
    from cloudkite.show import amounts, screen
    from cloudkite.tuning import orphans

    for output in orphans.sweep(space):
        said = _("ended a try that a killed command left running: {what}")
        screen.note(said.format(what=amounts.short(Path(output))))
