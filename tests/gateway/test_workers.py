"""Worker processes: answers in order, one crash costs one task."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gateway.cli.workers import answers


@contextmanager
def opener() -> Iterator[Callable[[str], dict[str, Any]]]:
    def answer(text: str) -> dict[str, Any]:
        if text == "crash":
            os._exit(7)
        return {"said": text, "by": os.getpid()}

    yield answer


def test_answers_come_in_order_from_several_processes() -> None:
    tasks = [str(number) for number in range(40)]
    found = list(answers(tasks, opener, workers=2, failed=lambda error: {"error": error.code}))
    assert [task for task, _ in found] == tasks
    assert [answer["said"] for _, answer in found] == tasks
    processes = {answer["by"] for _, answer in found}
    assert os.getpid() not in processes
    assert len(processes) == 2


def test_a_crash_costs_one_task() -> None:
    tasks = ["a", "crash", "b", "c"]
    found = dict(answers(tasks, opener, workers=2, failed=lambda error: {"error": error.code}))
    assert found["crash"] == {"error": "detector_failed"}
    assert [found[t]["said"] for t in "abc"] == ["a", "b", "c"]
