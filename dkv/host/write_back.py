"""When staged writes go to disk: with a commit, once they are many or have waited long enough."""

from __future__ import annotations

from collections.abc import Callable

from dkv.host.layers import Layers
from dkv.host.seams import Call, Clock
from dkv.settings import Limits, Timings


class WriteBack:
    """Decides for each commit whether what is staged in ``layers`` goes with it.

    ``commit`` is called when it is time and no commit has come by itself.
    """

    def __init__(
        self, layers: Layers, clock: Clock, limits: Limits, timings: Timings, commit: Callable[[], None]
    ) -> None:
        self._layers = layers
        self._clock = clock
        self._bytes_max = limits.write_back_bytes_max
        self._seconds = timings.write_back_seconds
        self._commit = commit
        self._written_at = clock.seconds()
        self._call: Call | None = None

    def is_due(self) -> bool:
        """Whether staged writes go with the next commit; if not yet, a timer sees to it that they do in time."""
        if self._layers.staged_bytes > self._bytes_max:
            return True
        wait = self._written_at + self._seconds - self._clock.seconds()
        if self._layers.staged_bytes == 0 or wait <= 0:
            return self._layers.staged_bytes > 0
        if self._call is None:
            self._call = self._clock.callLater(wait, self._on_time)
        return False

    def written(self) -> None:
        """They go with the commit that begins now."""
        self._written_at = self._clock.seconds()

    def stop(self) -> None:
        """Nothing is to be written any more."""
        if self._call is not None and self._call.active():
            self._call.cancel()

    def _on_time(self) -> None:
        self._call = None
        self._commit()
