"""Shared by the tests of the tools: settings of a short run, its log, and how a tool should fail."""
import json
from pathlib import Path


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
