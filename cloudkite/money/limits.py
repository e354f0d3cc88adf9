"""Time limits and the most a job can cost: pure arithmetic on what a person typed."""

from __future__ import annotations

import re
from decimal import ROUND_UP, Decimal, InvalidOperation

from cloudkite.show.errors import BadValue
from cloudkite.show.text import _

DEFAULT = 3600  # seconds
SHORTEST = 300  # seconds; below it a job hardly gets past its start
LONGEST = 7 * 24 * 3600  # seconds; the service's own default and the most it documents

_IN_CURRENCY = re.compile(r"([0-9][0-9.,]*)[ ]?([A-Za-z]{3})")
_DURATION = re.compile(r"(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")


def parse_limit(text: str, option: str = "--limit") -> int:
    """Seconds of a limit as people type it: 1h, 90m, 2h30m, 1d, 600s. Raises BadValue, also below 5 minutes."""
    limit = parse_duration(text, option)
    if limit < SHORTEST:
        raise BadValue(_("{option} {text} is too short").format(option=option, text=text), _("at least 5m"))
    if limit > LONGEST:
        raise BadValue(_("{option} {text} is too long").format(option=option, text=text), _("at most 7d"))
    return limit


def parse_duration(text: str, option: str) -> int:
    """Seconds of a duration as people type it, of any length. Raises BadValue for what is none."""
    found = _DURATION.fullmatch(text.strip().lower())
    if not found or not any(found.groups()):
        said = _("{option} {text!r} isn't a duration")
        raise BadValue(said.format(option=option, text=text), _("for example 30m, 1h or 2h30m"))
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def parse_amount(text: str, option: str = "--max-cost") -> Decimal:
    """An amount of money above 0, as typed. Raises BadValue."""
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 < amount < 1_000_000_000:
        raise BadValue(
            _("{option} {text!r} isn't an amount").format(option=option, text=text), _("for example 0.50 or 2")
        )
    return amount


def split_currency(text: str) -> tuple[str, str]:
    """("1400", "KRW") of `--max-cost 1400KRW`; "" for a currency that isn't named. Letter case doesn't matter."""
    found = _IN_CURRENCY.fullmatch(text.strip())
    return (found[1], found[2].upper()) if found else (text, "")


def worst_case(hourly: Decimal, seconds: int, restarts: int) -> Decimal:
    """The most a job can cost: each of its `1 + restarts` runs takes the whole limit. Rounded up to 1/10000."""
    return (hourly * seconds * (1 + restarts) / 3600).quantize(Decimal("0.0001"), ROUND_UP)


def written(seconds: int) -> str:
    """A limit as people type it, in whole minutes: 45m, 2h, 2h30m."""
    hours, minutes = divmod(seconds // 60, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes or not hours else "")


def cents(amount: Decimal) -> Decimal:
    """The amount with two decimals, never less than it is."""
    return amount.quantize(Decimal("0.01"), ROUND_UP)


def affordable(hourly: Decimal, amount: Decimal, restarts: int) -> int:
    """The limit in seconds, whole minutes, that `amount` pays for; 0 when not even the shortest."""
    if hourly <= 0:
        return LONGEST
    seconds = min(int(amount * 3600 / (hourly * (1 + restarts))) // 60 * 60, LONGEST)
    return seconds if seconds >= SHORTEST else 0


def tries_within(hourly: Decimal, seconds: int, restarts: int, amount: Decimal) -> int:
    """How many tries `amount` pays for, each of them up to `seconds`."""
    each = hourly * seconds * (1 + restarts)
    return max(int(amount * 3600 // each), 0) if each > 0 else 0


def limit_for_tries(
    hourly: Decimal, restarts: int, limit: str, max_cost: str, currency: str, tries: int
) -> tuple[int, Decimal | None]:
    """(limit in seconds of each try, most that all may cost or None), as `limit_for` does for one job.

    Raises BadValue when `--max-cost` doesn't pay for all tries, each of 5 minutes or of the limit given with it; the
    hint says how many it pays for.
    """
    wanted = parse_limit(limit) if limit else None
    if not max_cost:
        return wanted or DEFAULT, None
    amount = parse_amount(max_cost)
    seconds = wanted or min(DEFAULT, affordable(hourly * tries, amount, restarts))
    if seconds and worst_case(hourly * tries, seconds, restarts) <= amount:
        return seconds, amount
    shortest = wanted or SHORTEST
    fit, least = tries_within(hourly, shortest, restarts, amount), worst_case(hourly * tries, shortest, restarts)
    if fit:
        hint = _("--tries {fit} fits")
    elif affordable(hourly, amount, restarts):
        hint = _("--max-cost {least} pays for all of them; or take a shorter --try-limit")
    else:
        hint = _("--max-cost {least} pays for all of them; or take a smaller machine")
    said = _("{tries} tries of {limit} may cost {worst:.2f} {currency}, more than --max-cost {amount}")
    raise BadValue(
        said.format(tries=tries, limit=written(shortest), worst=least, currency=currency, amount=amount),
        hint.format(fit=fit, least=cents(least)),
    )


def limit_for(hourly: Decimal, restarts: int, limit: str, max_cost: str, currency: str) -> tuple[int, Decimal | None]:
    """(limit in seconds, most it may cost or None) from --limit and --max-cost as typed, "" where not given.

    `--max-cost` alone lowers the default limit to what it pays for, and never raises it. Raises BadValue when it pays
    for less than 5 minutes, or for less than a `--limit` given with it; the hint says what would do.
    """
    wanted = parse_limit(limit) if limit else None
    if not max_cost:
        return wanted or DEFAULT, None
    amount = parse_amount(max_cost)
    pays = affordable(hourly, amount, restarts)
    least = cents(worst_case(hourly, SHORTEST, restarts))
    if not pays:
        raise BadValue(
            _("--max-cost {amount} {currency} pays for less than 5 minutes at {hourly:.4f} {currency} an hour").format(
                amount=amount, currency=currency, hourly=hourly * (1 + restarts)
            ),
            _("--max-cost {least} pays for 5 minutes; or take a smaller machine").format(least=least),
        )
    if wanted and worst_case(hourly, wanted, restarts) > amount:
        raise BadValue(
            _("--limit {limit} may cost {worst:.2f} {currency}, more than --max-cost {amount}").format(
                limit=limit, worst=worst_case(hourly, wanted, restarts), currency=currency, amount=amount
            ),
            _("--limit {limit} fits").format(limit=written(pays)),
        )
    return wanted or min(DEFAULT, pays), amount
