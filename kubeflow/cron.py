"""Cron expressions in the form that Kubeflow Pipelines expects."""

from __future__ import annotations

import re

_FIELD = re.compile(r"[0-9A-Za-z*?/,\-]+")


class CronError(ValueError):
    """A text is not a cron expression."""


def six_fields(cron: str) -> str:
    """Returns a cron expression in Kubeflow's form: six fields, seconds first.

    Raises:
        CronError: the text has neither five nor six fields, or a field has a character that cron
            does not allow.
    """
    fields = cron.split()
    if len(fields) not in (5, 6) or not all(_FIELD.fullmatch(field) for field in fields):
        raise CronError(
            f"found {cron!r}; allowed: five fields (minute, hour, day, month, weekday) or six with"
            " seconds first, as in '0 3 * * *'"
        )
    return " ".join(fields if len(fields) == 6 else ["0", *fields])
