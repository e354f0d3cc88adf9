"""The command line as a whole: what Invoke can't parse is told in our form, and Ctrl-C before a command is quiet.

`uv run invoke` runs Invoke's own program, which loads tasks.py in the middle of its work: from then on it is ours.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit, ParseError
from invoke.program import Program

if TYPE_CHECKING:
    from invoke.parser import Parser
    from invoke.parser.context import ParserContext

    from cloudkite.show.errors import UserError

_NAME = re.compile(r"[a-z][a-z0-9_-]*")  # of an account or a trainer
_HELP = {"-h", "--help"}
_WITH_REST = {"train", "tune"}  # whose words after `--` go to the trainer


class CommandLine(Program):
    """Invoke's program with our words for what it refuses."""

    _made: Parser | None = None

    def _make_parser(self) -> Parser:
        """One parser, asked twice: Invoke takes the options' help away from the commands when it makes one."""
        if self._made is None:
            self._made = super()._make_parser()
        return self._made

    def parse_tasks(self) -> None:
        """Who asks a command for its help gets it, also where Invoke would take `--help` for a trainer's name."""
        words = self.core.unparsed
        self.parser = self._make_parser()
        if words and words[0] in self.parser.contexts and _HELP & set(words):
            with self._told():
                self.print_task_help(words[0])
            raise Exit
        with self._told():
            super().parse_tasks()
            _refuse_rest(self)

    def parse_cleanup(self) -> None:
        """`--list`, `--help COMMAND`, or nothing at all."""
        with self._told():
            super().parse_cleanup()

    def no_tasks_given(self) -> None:
        """Without a command: the commands there are."""
        self.list_tasks()
        raise Exit

    @contextmanager
    def _told(self) -> Iterator[None]:
        from cloudkite.show import mistakes

        ended = None
        with mistakes.told(debug="--debug" in sys.argv or "-d" in sys.argv):
            try:
                yield
            except ParseError as refusal:
                raise explain(self, str(refusal), refusal.context) from None
            except ValueError as refusal:
                raise _number(self, refusal) from None
            except Exit as end:
                if end.message:
                    raise explain(self, end.message, None) from None
                ended = end
        if ended:
            raise ended


def adopt() -> None:
    """Make the running program of Invoke ours, and a Ctrl-C while the commands are loaded the end without a word more.

    Does nothing where tasks.py is imported by something else.
    """
    main = sys.modules.get("invoke.main")
    if main is None or Path(sys.argv[0]).stem not in _RUNS:
        return
    main.program.__class__ = CommandLine
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)


_RUNS = {"invoke", "inv", "__main__"}


def _interrupted(_number: int, _frame: Any) -> None:
    """Nothing was begun that would have to be put away."""
    from cloudkite.show.text import _

    os.write(2, f"error: {_('interrupted')}\n".encode())
    os._exit(130)


def interruptible() -> None:
    """From here on a Ctrl-C is Python's KeyboardInterrupt again: a command is at work, and puts away what it began.

    So is a SIGTERM, which would end this process alone, and leave what it started running.
    """
    if signal.getsignal(signal.SIGINT) is _interrupted:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    main = sys.modules.get("invoke.main")
    if os.name == "posix" and main is not None and isinstance(main.program, CommandLine):
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def explain(program: Program, refusal: str, context: ParserContext | None) -> UserError:
    """What Invoke's parser says, in our form. `context` is the command at which it stopped."""
    from cloudkite.show.errors import UserError
    from cloudkite.show.text import _

    command = context.name if context else None
    if found := re.fullmatch(r"No idea what (.*) is!", refusal, re.DOTALL):
        word = _unquoted(found[1])
        if context is None or command is None:
            return _unknown_command(program, word)
        return _unknown_option(program, context, word) if word.startswith("-") else _extra(program, context, word)
    if found := re.fullmatch(r"'(.*)' did not receive required positional arguments: (.*)", refusal):
        missing = [name.strip("'") for name in found[2].split(", ")]
        return UserError(
            _("{command} needs: {names}").format(command=found[1], names=", ".join(missing)),
            f"uv run invoke {found[1]} {' '.join(name.upper() for name in missing)}",
        )
    if found := re.fullmatch(r"Flag <Argument: ([\w-]+).*> needed value and was not given one!", refusal):
        return UserError(_("--{name} needs a value").format(name=found[1].replace("_", "-")), _help(command))
    if found := re.fullmatch(r"(.*) is ambiguous when given after an optional-value flag", refusal):
        word = _unquoted(found[1])
        return UserError(
            _("{word} may be a command, or the value of the option before it").format(word=word),
            _("join a value to its option: --OPTION={word}").format(word=word),
        )
    if found := re.fullmatch(r"Sub-collection '(.*)' not found!", refusal):
        groups = sorted(program.collection.collections)
        return UserError(
            _("unknown group of commands {name}").format(name=found[1]),
            f"uv run invoke --list {groups[0]}" if groups else "uv run invoke --list",
        )
    return UserError(refusal, _help(command))


def _help(command: str | None) -> str:
    from cloudkite.show.text import _

    return _("uv run invoke --help {command} lists what it takes").format(command=command) if command else _LIST


_LIST = "uv run invoke --list"


def _unquoted(text: str) -> str:
    """What a repr was made of, near enough for a message."""
    return text[1:-1].replace("\\\\", "\\") if text[:1] in "'\"" else text


def _unknown_command(program: Program, word: str) -> UserError:
    from cloudkite.show.errors import UserError
    from cloudkite.show.text import _

    if word.startswith("-"):
        core = [flag for flag in program.initial_context.flags if flag.startswith("--")]
        return UserError(_("unknown option {word}").format(word=word), _close(word, core) or _LIST)
    if word in program.collection.collections:
        return UserError(_("{word} is a group of commands").format(word=word), f"uv run invoke --list {word}")
    known = list(program.parser.contexts)
    close = _close(word, known) or _close(f".{word}", known)
    return UserError(_("unknown command {word}").format(word=word), close or _LIST)


def _close(word: str, known: list[str]) -> str:
    from cloudkite.show.text import close

    return close(word, known, 0.7)


def _unknown_option(program: Program, context: ParserContext, word: str) -> UserError:
    from cloudkite.show.errors import UserError
    from cloudkite.show.text import _

    known = [flag for flag in (*context.flags, "--help") if flag.startswith("--")]
    hint = _close(word, known)
    if not hint and context.name in _WITH_REST:
        hint = _("what is meant for the trainer follows `--`: {line}").format(line=_moved(program, context))
    return UserError(
        _("{command} has no option {word}").format(command=context.name, word=word), hint or _help(context.name)
    )


def _moved(program: Program, context: ParserContext) -> str:
    """The command line as it was typed, with what the command doesn't know after `--`."""
    ours, trainers = [], []
    place, value = ours, False
    for word in program.core.unparsed:
        flag = context.flags.get(word.partition("=")[0]) if word.startswith("-") else None
        if value:
            value = False
        elif flag is not None:
            place, value = ours, flag.takes_value and "=" not in word
        elif word.startswith("-"):
            place = trainers
        elif place is trainers and not trainers[-1].startswith("-"):
            place = ours
        place.append(word)
    return "uv run invoke " + shlex.join([*ours, "--", *trainers, *program.argv[_dashes(program.argv) + 1 :]])


def _extra(program: Program, context: ParserContext, word: str) -> UserError:
    """A word that a command doesn't take: a value for an option that has none, a name, or the next command mistyped."""
    from cloudkite.show.errors import UserError
    from cloudkite.show.text import _

    switch = next((w for w in program.core.unparsed if w.startswith("-") and w.partition("=")[2] == word), "")
    if flag := switch.partition("=")[0]:
        return UserError(_("{flag} takes no value").format(flag=flag), _help(context.name))
    # Close to a command, as `up doen`, before it is taken for a name: `jobs penguins`, `up work`.
    close = _close(word, [name for name in program.parser.contexts if "." in word or "." not in name])
    named = [name for name in ("trainer", "account") if (one := context.args.get(name)) and not one.got_value]
    if not close and named and not any(one.positional for one in context.args.values()) and _NAME.fullmatch(word):
        close = f"uv run invoke {context.name} --{named[0]} {word}"
    return UserError(
        _("{command} takes no {word}").format(command=context.name, word=word), close or _help(context.name)
    )


def _refuse_rest(program: Program) -> None:
    """Raise UserError for words after `--` that no command takes: `cancel -- NAME` would cancel the newest job."""
    from cloudkite.show.errors import UserError
    from cloudkite.show.text import _

    asked = [context.name for context in program.tasks]
    if program.core.remainder and asked and not _WITH_REST & set(asked):
        rest = program.argv[_dashes(program.argv) + 1 :]
        raise UserError(
            _("{command} takes nothing after --").format(command=asked[-1]),
            shlex.join(["uv", "run", "invoke", *program.core.unparsed, *rest]),
        )


def _number(program: Program, refusal: ValueError) -> Exception:
    """The option whose value must be a whole number; the refusal itself when there is none."""
    from cloudkite.show.errors import BadValue
    from cloudkite.show.text import _

    argv = program.core.unparsed
    for at, word in enumerate(argv):
        name, joined, value = word.partition("=")
        value = value if joined else (argv[at + 1] if at + 1 < len(argv) else "")
        for context in program.parser.contexts.values():
            argument = context.flags.get(name)
            if context.name in argv and argument is not None and argument.kind is int and not _whole(value):
                return BadValue(
                    _("{flag} must be a whole number, not {value!r}").format(flag=name, value=value),
                    _help(context.name),
                )
    return refusal


def _whole(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


def _dashes(argv: list[str]) -> int:
    """Where `--` stands, or would."""
    return argv.index("--") if "--" in argv else len(argv)
