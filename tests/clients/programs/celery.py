"""celery's result backend: a worker keeps results, and whoever asked is told of them by a channel. The broker is not
in Redis."""

from __future__ import annotations

from celery import Celery, group
from celery.contrib.testing.worker import start_worker

from tests.clients.programs.ride import URL, ride

app = Celery("tasks", broker="memory://", backend=f"{URL}/5")
app.conf.update(result_expires=300, broker_transport_options={"polling_interval": 0.01})


@app.task
def add(a: int, b: int) -> int:
    """A sum."""
    return a + b


@app.task
def fail() -> None:
    """A task that raises."""
    raise ValueError("no")


with start_worker(app, pool="threads", concurrency=2, perform_ping_check=False):
    assert add.delay(2, 3).get(timeout=10) == 5
    failed = fail.delay()
    assert isinstance(failed.get(timeout=10, propagate=False), ValueError) and failed.failed()
    assert group(add.s(n, n) for n in range(5)).apply_async().get(timeout=10) == [0, 2, 4, 6, 8]
    kept = add.delay(1, 1)
    assert kept.get(timeout=10) == 2
    assert app.AsyncResult(kept.id).state == "SUCCESS"
    kept.forget()
    assert app.AsyncResult(kept.id).state == "PENDING"
    results = {}

    def ask(number: int) -> None:
        """Ask for a sum, and wait for it."""
        results[number] = add.delay(number, 1)
        assert results[number].get(timeout=20) == number + 1

    ride(ask, lambda number: app.AsyncResult(results[number].id).result == number + 1)
print("all well")
