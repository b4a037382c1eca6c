"""What was acknowledged, on the disk before anybody goes on: the memory of a test that kills the server."""

import json
import os
import threading
from pathlib import Path
from typing import Any


class Journal:
    """One JSON line for each acknowledgement, written and synced by the one who received it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+", encoding="utf-8")
        self._lock = threading.Lock()
        self.lines: list[dict[str, Any]] = []

    def note(self, what: str, **facts: Any) -> None:
        """Write and sync; any thread."""
        line = {"what": what, **facts}
        with self._lock:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
            self.lines.append(line)
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """No more to note."""
        self._file.close()

    def all(self, what: str, *, since: int = 0) -> list[dict[str, Any]]:
        """The lines of a kind, in order; of those from a place on."""
        with self._lock:
            return [line for line in self.lines[since:] if line["what"] == what]
