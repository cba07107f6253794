"""Watches a program's memory while something happens."""
import threading


class MemoryWatch:
    """`with MemoryWatch(relay) as watch: ...; watch.growth` is the highest resident memory over that at the start."""

    def __init__(self, program):
        self.program = program
        self.start = self.highest = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self.start = self.highest = self.program.rss()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    @property
    def growth(self) -> int:
        return self.highest - self.start

    def _watch(self):
        while not self._stop.wait(0.02):
            self.highest = max(self.highest, self.program.rss())
