"""``replay-log``: a recorded race on a spectator socket, for whatever shows or reads one."""

from __future__ import annotations

import sys
from pathlib import Path

from robotini_ray.log_replay import EventLog, LogReplay


def run(file: Path, host: str, port: int, speed: float, loop: bool) -> int:
    """Sends the log to its end, or for ever; returns the exit code."""
    log = EventLog(file)
    next(iter(log))  # a file that holds nothing is refused before anybody connects
    replay = LogReplay(log, host, port, speed)
    try:
        print(f"ready log={replay.address[0]}:{replay.address[1]}; begins when the first spectator connects", flush=True)
        replay.run(lambda: loop)
    except KeyboardInterrupt:
        return 130
    finally:
        replay.close()
    skipped = f", {log.bad_lines} lines skipped that were none" if log.bad_lines else ""
    print(f"{file}: {replay.sent} events sent{skipped}", file=sys.stderr)
    return 0
