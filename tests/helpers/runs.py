"""Shared by the tests of the tools: how they are run, settings of a short run, its log, and how a tool should fail."""
import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    return dict(os.environ, PYTHONPATH=str(ROOT), PYTHONWARNINGS='ignore')


def run_afresh(folder: Path, *args: object, timeout: float = 300) -> subprocess.CompletedProcess:
    """Run ``python`` as a user does, in the given folder; returns the finished process with its output."""
    return subprocess.run([sys.executable, *map(str, args)], cwd=folder, capture_output=True, text=True, timeout=timeout,
                          check=False, env=environment())


class Zygote:
    """Runs tools in processes of their own that need not import torch and all the rest first: see ``helpers.zygote``.

    Args:
        modules: what is imported once; default: everything.
    """

    def __init__(self, *modules: str):
        self.process = subprocess.Popen([sys.executable, Path(__file__).with_name('zygote.py'), *modules],
                                        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def run(self, folder: Path, *args: object, timeout: float = 300) -> subprocess.CompletedProcess:
        """As ``run_afresh``."""
        command = [*map(str, args)]
        with tempfile.NamedTemporaryFile('r') as stdout, tempfile.NamedTemporaryFile('r') as stderr:
            run = dict(arguments=command, folder=str(folder), environment=environment(), stdout=stdout.name,
                       stderr=stderr.name)
            self.process.stdin.write(json.dumps(run).encode() + b'\n')
            child = self._answer()
            if not select.select([self.process.stdout], [], [], timeout)[0]:
                os.kill(child, 9)
                self._answer()
                raise subprocess.TimeoutExpired(command, timeout, stdout.read(), stderr.read())
            return subprocess.CompletedProcess(command, self._answer(), stdout.read(), stderr.read())

    def _answer(self) -> int:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f'the process that forks the tools has ended with {self.process.wait()}')
        return int(line)

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)


def options(data_root, interval, **settings):
    """Command-line options for batches of two images without workers, validated and saved every ``interval``."""
    settings = dict({
        'data_root': data_root, 'train_dataloader.batch_size': 2, 'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False, 'val_dataloader.num_workers': 0,
        'val_dataloader.persistent_workers': False, 'test_dataloader.num_workers': 0,
        'test_dataloader.persistent_workers': False, 'train_cfg.val_interval': interval,
        'default_hooks.checkpoint.interval': interval, 'default_hooks.logger.interval': 1}, **settings)
    return ['--cfg-options', *(f'{key}={value}' for key, value in settings.items())]


def scalars(work_dir: Path) -> list[dict]:
    """The scalars that the runs in a work folder logged, in order."""
    return [json.loads(line) for path in sorted(work_dir.glob('*/vis_data/scalars.json'))
            for line in path.read_text().splitlines()]


def assert_refused(done, *words):
    """The tool failed with one line that holds the words."""
    assert done.returncode == 1
    assert 'Traceback' not in done.stderr
    message = done.stderr.strip().splitlines()[-1]
    assert message.startswith('error: ') and all(word in message for word in words), message
