"""One update of the weights for several batches, with the schedule of a config."""
from mmengine.config import Config

from mmvisattn.config import dicts_in

# Settings of schedulers that count steps, if they step at iterations.
COUNTS = ('begin', 'end', 'T_max', 'milestones', 'step_size', 'periods', 'total_steps')
# Schedulers that reach their last value one step before ``end``.
TO_LAST_STEP = ('LinearLR', 'LinearMomentum', 'LinearParamScheduler', 'PolyLR', 'PolyMomentum', 'PolyParamScheduler')
# Their factor at each step would have to be another one.
BY_FACTOR = ('ExponentialLR', 'ExponentialMomentum', 'ExponentialParamScheduler')


def _times(value: int | list[int] | tuple[int, ...], number: int) -> int | list[int]:
    return [each * number for each in value] if isinstance(value, (list, tuple)) else value * number


def _stretch(part: dict, number: int, *keys: str) -> None:
    """Multiply the settings of a part of a config that count iterations."""
    for key in keys:
        if part.get(key) is not None and part[key] != -1:
            part[key] = _times(part[key], number)


def _stretch_scheduler(scheduler: dict, number: int, iterations: int | None) -> None:
    """Let a scheduler that steps at iterations be after ``number * n`` of them where it was after ``n``."""
    if scheduler.get('by_epoch', True):
        return
    kind = str(scheduler.get('type')).rpartition('.')[2]
    if kind in BY_FACTOR:
        raise ValueError(f'{kind} with by_epoch=False cannot be rescaled')
    if 'end' not in scheduler and iterations:
        scheduler['end'] = iterations
    _stretch(scheduler, number, *COUNTS)
    if kind in TO_LAST_STEP and 'end' in scheduler:
        scheduler['end'] -= number - 1


def accumulate(cfg: Config, number: int) -> None:
    """Let a training update its weights after every ``number`` batches, as often as its config says.

    Everything that counts iterations is multiplied: the length, warm-up and the other schedules, the intervals of
    validations, checkpoints, logs and averaged weights, and the stages of ``ProgressiveBatchSampler``. So after the same
    number of updates the learning rate is the same. (Within the batches of one update it goes on as the schedule does; the
    update takes that of the last batch.) What counts epochs stays as it is.

    Args:
        cfg: the config, which is changed.
        number: batches for each update.

    Raises:
        ValueError: if a schedule cannot be rescaled.
    """
    wrapper, loop, hooks = cfg.optim_wrapper, cfg.train_cfg, cfg.get('default_hooks') or {}
    wrapper['accumulative_counts'] = wrapper.get('accumulative_counts', 1) * number
    iterations = loop.get('max_iters')
    for scheduler in dicts_in(cfg.get('param_scheduler') or []):
        if 'type' in scheduler:
            _stretch_scheduler(scheduler, number, iterations)
    if iterations:  # otherwise it counts epochs
        _stretch(loop, number, 'max_iters', 'val_begin', 'val_interval')
        if loop.get('dynamic_intervals'):
            loop['dynamic_intervals'] = [_times(pair, number) for pair in loop['dynamic_intervals']]
    checkpoint = hooks.get('checkpoint') or {}
    if not checkpoint.get('by_epoch', True):
        _stretch(checkpoint, number, 'interval', 'save_begin')
    _stretch(hooks.get('logger') or {}, number, 'interval')
    for hook in cfg.get('custom_hooks') or []:
        if str(hook.get('type')).rpartition('.')[2] == 'EMAHook':
            hook['interval'] = number * hook.get('interval', 1)
            _stretch(hook, number, 'begin_iter')
    for sampler in dicts_in(cfg.train_dataloader.get('batch_sampler') or {}):
        if 'schedule' in sampler:
            sampler['schedule'] = [(first * number, *stage) for first, *stage in sampler['schedule']]
    if 'base_batch_size' in (cfg.get('auto_scale_lr') or {}):  # with which mmengine compares one batch
        cfg.auto_scale_lr['base_batch_size'] /= number
