"""Options of ``tools/train.py`` for trainings that are interrupted: where they go on, their seed, and when they save."""
import copy
import math
import os
from pathlib import Path

from mmengine.config import Config

from mmvisattn.config import dicts_in, model_of, without_sync_bn
from mmvisattn.training.preemption import seconds
from mmvisattn.training.resume import Checkpoint, newest_checkpoint, read_training

from .usage import UsageError, shown

# The parts of a config that decide what a training learns, besides its model and its data.
LEARNING = ('optim_wrapper', 'param_scheduler')


def _given(path: str) -> Checkpoint:
    """The checkpoint of a command line."""
    if not Path(path).is_file():
        raise UsageError(f'--resume: there is no checkpoint {path}')
    try:
        return read_training(Path(path))
    except ValueError as error:
        raise UsageError(f'--resume: a training cannot go on from {path}: {error}') from error


def seed(text: str) -> int:
    """The seed of a command line.

    Raises:
        UsageError: if it is none.
    """
    if not text.isdecimal() or int(text) >= 2**31:
        raise UsageError(f'--seed {text} must be a whole number from 0 to {2**31 - 1}')
    return int(text)


def number_of_seeds(text: str) -> int:
    """The number of trainings of a command line.

    Raises:
        UsageError: if it is none.
    """
    if not text.isdecimal():
        raise UsageError(f'--seeds {text} must be a whole number, of trainings')
    return int(text)


def duration(text: str) -> float:
    """The seconds of a time on the command line: 1-12:00:00, 11:30:00, 30:00, or 90.

    Raises:
        UsageError: if it is none.
    """
    try:
        return seconds(text)
    except (ValueError, OverflowError):
        raise UsageError(f'--max-time {text} must be a time such as 11:30:00 (hours, minutes, seconds) or 1-12:00:00 (with '
                         'days)') from None


def minutes(text: str) -> float:
    """Minutes on the command line.

    Raises:
        UsageError: if they are no positive number.
    """
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < float('inf'):
        raise UsageError(f'--checkpoint-minutes {text} must be a positive number')
    return number


def save_by_time(cfg: Config, interval: float | None, max_time: float | None) -> None:
    """Let the checkpoint hook of a config also save by time.

    Raises:
        UsageError: if a time is set, and the config has no checkpoint hook that could save then.
    """
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    for option, value in (('--checkpoint-minutes', interval), ('--max-time', max_time)):
        if value is not None and str(hook.get('type')).rpartition('.')[2] != 'CheckpointHook':
            raise UsageError(f"{option} needs default_hooks=dict(checkpoint=dict(type='CheckpointHook', …)) in the config")
    if interval is not None:
        hook['minutes'] = interval


def set_randomness(cfg: Config, chosen: int | None, deterministic: bool) -> None:
    """Set the seed of a config, if one was chosen, and deterministic algorithms."""
    randomness = dict(cfg.get('randomness') or {})
    if chosen is not None:
        randomness['seed'] = chosen
    if deterministic:
        randomness['deterministic'] = True
        cfg.env_cfg = dict(cfg.get('env_cfg') or {}, cudnn_benchmark=False)
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')  # torch refuses matrix products without it
    cfg.randomness = randomness


def _settings(cfg: Config) -> dict[str, object]:
    """What a training learns with, by its place in the config: model, augmentation, optimizer and schedule."""
    pipeline = next((part['pipeline'] for part in dicts_in(cfg.get('train_dataloader')) if 'pipeline' in part), None)
    found: dict[str, object] = {}

    def add(place: str, value: object) -> None:
        children = dict(enumerate(value)) if isinstance(value, (list, tuple)) else value
        if not isinstance(children, dict) or not children:
            found[place] = value
            return
        for key, child in children.items():
            add(f'{place}.{key}', child)

    parts = {name: cfg.get(name) for name in LEARNING}
    for name, part in dict(parts, **{'model': model_of(cfg), 'train_dataloader.dataset.pipeline': pipeline}).items():
        add(name, without_sync_bn(copy.deepcopy(part)))
    return found


def changed_settings(folder: Path, cfg: Config) -> str:
    """How the settings of a config differ from those that its last training in a work folder began with, which mmengine has
    written there; empty if they do not, or if nothing readable is there."""
    written = folder / Path(cfg.filename or 'config.py').name
    try:
        before = _settings(Config.fromfile(written, import_custom_modules=False))
    except Exception:  # a config is code, and a kill may have cut it off
        return ''
    now = _settings(Config.fromstring(cfg.pretty_text, '.py'))  # as it would be written: types are names
    changed = [key for key in dict.fromkeys([*before, *now]) if before.get(key) != now.get(key)]
    named = [f'{key} ({shown(before.get(key))} before, {shown(now.get(key))} now)' for key in changed[:3]]
    return ', '.join(named) + (f' and {len(changed) - 3} more' if len(changed) > 3 else '')


def _is_over(cfg: Config, checkpoint: Checkpoint) -> bool:
    """Whether a training that goes on from a checkpoint has nothing left to do."""
    loop = cfg.get('train_cfg') or {}
    return checkpoint.iteration >= loop.get('max_iters', math.inf) or checkpoint.epoch >= loop.get('max_epochs', math.inf)


def go_on(cfg: Config, choice: str, chosen_seed: int | None = None) -> list[str]:
    """Set where a training goes on.

    Args:
        cfg: its config, with the work folder.
        choice: a checkpoint, or 'latest': the newest one of the work folder that loads.
        chosen_seed: of the command line.

    Returns:
        What to report: which checkpoint it is, and which ones were passed over and why.

    Raises:
        UsageError: if a training cannot go on from the given checkpoint, or from none of the work folder, or it began with
            another seed than the chosen one, or is finished and had other settings.
    """
    found: Checkpoint | None
    passed_over: list[tuple[Path, str]]
    if choice != 'latest':
        found, passed_over = _given(choice), []
    else:
        found, passed_over = newest_checkpoint(cfg.work_dir)
        if passed_over and not found:
            raise UsageError(f'--resume: none of the {len(passed_over)} checkpoints in {cfg.work_dir} loads (the newest, '
                             f'{passed_over[0][0].name}: {passed_over[0][1]}); without --resume the training starts anew')
    notes = [f'passed over {path}: {reason}' for path, reason in passed_over]
    cfg.resume = found is not None
    if found is None:
        return [*notes, f'there is no checkpoint in {cfg.work_dir} yet: the training starts from the beginning']
    cfg.load_from = str(found.path)
    if found.accumulated != (chosen := (cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1)):
        raise UsageError(f'--resume: the training of {found.path} updates the weights after {found.accumulated} batches, '
                         f'this one after {chosen}, so their iterations differ; give the same --accumulate')
    if found.averages and not any(hook.get('type') == 'EMAHook' for hook in cfg.get('custom_hooks') or []):
        raise UsageError(f'--resume: the training of {found.path} averages its weights, this one does not, and would go on '
                         'from the averages; give the same --ema')
    if found.seed is not None:
        # mmengine takes it over, but after the samplers have been built with the config's.
        if chosen_seed not in (None, found.seed):
            raise UsageError(f'--seed {chosen_seed}: the training of {found.path} has the seed {found.seed}; leave out '
                             '--seed to go on with it')
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=found.seed)
    changed = changed_settings(found.path.parent, cfg)
    if changed and _is_over(cfg, found):
        raise UsageError(f'--resume: the training of {found.path} is finished, with other settings: {changed}; name another '
                         '--work-dir to train with these')
    notes += [f'the settings have changed since the training began: {changed}'] if changed else []
    return [*notes, f'goes on from {found.path}, after {found.iteration} iterations']
