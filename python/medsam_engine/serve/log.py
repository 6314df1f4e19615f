# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What the server tells of itself: events with fields, one line each, without names of files or people, and no keys.

A field's value is a number, a flag, or a short word of the program's own. Text that came from a file or a request is
never passed on.
"""

from __future__ import annotations

import json
import logging
import sys
import time

from medsam_engine.base.printable import printable

Field = str | int | float | bool | None

logger = logging.getLogger("medsam_engine.serve")


def log_event(event: str, *, level: int = logging.INFO, **fields: Field) -> None:
    """Logs an event; the record has `event` and `fields` for handlers that want them apart."""
    if logger.isEnabledFor(level):
        text = " ".join([event, *(f"{name}={_shown(value)}" for name, value in fields.items())])
        logger.log(level, "%s", text, extra={"event": event, "fields": fields})


def _shown(value: Field) -> str:
    return f"{value:.4g}" if isinstance(value, float) else printable(value)


class JsonLines(logging.Formatter):
    """One JSON object per record: `time` (UTC), `level`, `event`, and the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Field] = {"time": f"{moment}.{int(record.msecs):03d}Z", "level": record.levelname.lower()}
        if hasattr(record, "event"):
            line |= {"event": record.event, **getattr(record, "fields", {})}
        else:
            line |= {"event": "message", "logger": record.name, "message": record.getMessage()}
        return json.dumps(line)


class _TextLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def log_to_stderr(as_json: bool, level: int = logging.INFO) -> None:
    """Sends the events of this package, and warnings of all loggers, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else _TextLines("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logger.setLevel(level)
