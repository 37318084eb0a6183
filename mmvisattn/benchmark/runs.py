"""Measuring several models: each in a process of its own, taking turns."""
import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TextIO

from .measuring import OUT_OF_MEMORY, Cell, Settings


class Worker:
    """The process of one model, started anew if it has died."""

    def __init__(self, text: str, settings: Settings):
        self.text = text
        self.settings = settings
        self.process: subprocess.Popen | None = None
        self.answers: TextIO | None = None
        self.send_model()

    def send_model(self) -> None:
        """Start the process, which builds the model meanwhile."""
        environment = dict(dict(PYTHONWARNINGS='ignore'), **os.environ)
        if self.settings.threads:
            environment['OMP_NUM_THREADS'] = str(self.settings.threads)
        ours, theirs = os.pipe()  # its output is no place for answers: some packages print
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'mmvisattn.benchmark.worker', str(theirs)], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, pass_fds=[theirs], text=True, env=environment,
            start_new_session=True)  # Ctrl-C is for the tool, which ends its workers
        os.close(theirs)
        self.answers = os.fdopen(ours)
        self._send([self.text, asdict(self.settings)])

    def _send(self, content: object) -> None:
        assert self.process and self.process.stdin
        self.process.stdin.write(json.dumps(content) + '\n')
        self.process.stdin.flush()

    def receive(self) -> dict:
        """The next answer; an error if the process has died."""
        assert self.process and self.answers
        line = self.answers.readline()
        if line:
            return json.loads(line)
        code = self.process.wait()
        self.end()
        if code in (-signal.SIGKILL, -signal.SIGABRT) and self.settings.device.startswith('cpu'):
            return dict(error=f'{OUT_OF_MEMORY} (the process ended with {signal.Signals(-code).name})')
        return dict(error=f'the process ended with status {code}')

    def ask(self, command: str, cell: Cell | None = None) -> dict:
        """Let the process do something, and wait for its answer."""
        if self.process is None:
            self.send_model()
            built = self.receive()
            if 'error' in built:
                return built
        with suppress(BrokenPipeError):  # the process has died, as there is no answer
            self._send(dict(command=command, cell=asdict(cell) if cell else None))
        return self.receive()

    def end(self) -> None:
        """End the process, whatever it is doing."""
        if self.process is not None:
            assert self.answers and self.process.stdin
            self.process.kill()
            self.process.wait()
            self.answers.close()
            with suppress(BrokenPipeError):
                self.process.stdin.close()
            self.process = None


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile; of one value, that value three times."""
    if len(values) == 1:
        return (values[0], ) * 3
    lower, median, upper = statistics.quantiles(values, n=4, method='inclusive')
    return lower, median, upper


def _measure(workers: dict[str, Worker], cell: Cell, rounds: int, baseline: str, step: Callable[[], None]) -> list[dict]:
    """One cell of every model."""
    rows: dict[str, dict] = {name: dict(model=name, **asdict(cell)) for name in workers}
    for name, worker in workers.items():
        rows[name].update(worker.ask('count', cell))
    if not rounds:
        step()
        return list(rows.values())
    times: dict[str, list[float]] = {name: [] for name in workers}

    def running() -> list[str]:
        return [name for name, row in rows.items() if 'error' not in row]

    def ask(name: str, command: str) -> dict:
        answer = workers[name].ask(command)
        if 'error' in answer:
            rows[name]['error'] = answer['error']
        return answer

    for name in running():
        rows[name].update(workers[name].ask('start', cell))
    for number in range(rounds):
        names = running()
        for name in (names[number % len(names):] + names[:number % len(names)]) if names else ():
            times[name].append(ask(name, 'turn').get('seconds', 0.0))
        step()
    for name in running():
        rows[name]['memory'] = ask(name, 'memory').get('memory')
    for name in running():
        ask(name, 'stop')
    for name in running():
        lower, median, upper = quartiles(times[name])
        rows[name].update(latency=median, quartiles=[lower, upper], times=times[name],
                          images_per_second=cell.batch / median)
        if baseline in running():
            ratios = [ours / theirs for ours, theirs in zip(times[name], times[baseline])]
            lower, median, upper = quartiles(ratios)
            rows[name].update(ratio=median, ratio_quartiles=[lower, upper])
    return list(rows.values())


def measure(models: dict[str, str], cells: Sequence[Cell], settings: Settings, rounds: int, baseline: str,
            step: Callable[[Cell], None]) -> tuple[dict[str, dict], list[dict]]:
    """Measure every cell of every model.

    In each round of a cell each model has one turn, while the others wait, so that the noise of the machine hits all alike.

    Args:
        models: by the names to show, what ``subjects.build`` takes.
        cells: what to measure.
        settings: how to run the models.
        rounds: number of turns of each model in each cell; 0: only count.
        baseline: the name of the model that ratios are to.
        step: called after each round, with its cell; once per cell if there are no rounds.

    Returns:
        What is known of each model by its name, and one row for each cell and model; a row that could not be measured has an
        ``error``.
    """
    workers: dict[str, Worker] = {}
    try:
        for name, text in models.items():
            workers[name] = Worker(text, settings)
        about = {name: dict(model=models[name], **worker.receive()) for name, worker in workers.items()}
        built = {name: worker for name, worker in workers.items() if 'error' not in about[name]}
        rows = []
        for cell in cells:
            rows += _measure(built, cell, rounds, baseline, lambda cell=cell: step(cell))  # type: ignore[misc]
        return about, rows
    finally:
        for worker in workers.values():
            worker.end()
