"""A message on the desktop, by whatever the system has for it: notify-send, osascript, or PowerShell's toast."""

from __future__ import annotations

import html
import os
import subprocess
import sys

from cloudkite import children

SECONDS = 10  # after which a tool that does not come back is left alone
# What a message needs of a session on Linux; the rest of the environment stays here.
_SESSION = ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR")
_APPLE = (
    "on run argv", "display notification (item 2 of argv) with title (item 1 of argv)", "end run",
)  # fmt: skip
# https://learn.microsoft.com/windows/apps/design/shell/tiles-and-notifications/toast-desktop-apps; the text is read
# from variables, so that nothing in it can be part of the script.
_WINDOWS = """
[void][Windows.UI.Notifications.ToastNotificationManager, Windows.UI.Notifications, ContentType = WindowsRuntime]
$kind = [Windows.UI.Notifications.ToastTemplateType]::ToastText02
$toast = [Windows.UI.Notifications.ToastNotificationManager]::GetTemplateContent($kind)
$lines = $toast.GetElementsByTagName('text')
[void]$lines.Item(0).AppendChild($toast.CreateTextNode($env:CLOUDKITE_TITLE))
[void]$lines.Item(1).AppendChild($toast.CreateTextNode($env:CLOUDKITE_TEXT))
$by = [Windows.UI.Notifications.ToastNotificationManager]::CreateToastNotifier('Cloudkite')
$by.Show([Windows.UI.Notifications.ToastNotification]::new($toast))
"""


def available() -> bool:
    """Whether this system has a tool for it."""
    return _tool() is not None


def tell(title: str, text: str) -> bool:
    """Show a message; gives whether the tool took it. Never raises: a message that fails must stop nothing."""
    if (tool := _tool()) is None:
        return False
    kind, path = tool
    variables = {name: os.environ[name] for name in _SESSION if name in os.environ}
    if kind == "osascript":
        command = [path, *(word for line in _APPLE for word in ("-e", line)), title, text]
    elif kind == "powershell":
        command = [path, "-NoProfile", "-NonInteractive", "-Command", _WINDOWS]
        variables |= {"CLOUDKITE_TITLE": title, "CLOUDKITE_TEXT": text}
    else:  # its text is markup to most desktops
        command = [path, "--app-name=Cloudkite", "--", title, html.escape(text)]
    try:
        done = subprocess.run(
            command,
            env=children.safe_environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _tool() -> tuple[str, str] | None:
    """(name, path) of what shows messages here."""
    name = {"darwin": "osascript", "win32": "powershell"}.get(sys.platform, "notify-send")
    path = children.program(name)
    return (name, path) if path else None
