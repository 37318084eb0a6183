"""Checkpoints that stand whole or not at all."""
import os
import time
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.fileio.backends import backends, register_backend
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner

from mmvisattn.files import FULL, remove_unfinished, write_whole
from mmvisattn.registry import HOOKS

from .agreement import Agreement

BACKEND = 'mmvisattn.whole'
VALIDATED = 'last_validation'  # what the message hub calls the iteration after which the last validation was


class NotSaved(RuntimeError):
    """The end of a training could not be saved; the message names the file."""


class WholeFileBackend(LocalBackend):
    """mmengine's files on local disks, written whole or not at all."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        write_whole(filepath, obj)


if BACKEND not in backends:
    register_backend(BACKEND, WholeFileBackend)


def _reason(error: OSError) -> str:
    return FULL.get(error.errno or 0, str(error))


def at_update(runner: Runner) -> bool:
    """Whether the iteration that ends has updated the weights, so that no accumulated gradients wait."""
    wrapper: Any = runner.optim_wrapper
    wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    return all(each.should_update() for each in wrappers)


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """mmengine's ``CheckpointHook``, such that a kill, a crash or a full disk loses no checkpoint.

    A checkpoint is written to a temporary file, brought to the disk, and renamed; so is ``last_checkpoint``. Older
    checkpoints, and the previous best one, are deleted only when what replaces them stands. If writing fails, the log says
    why, everything older is kept, and the training goes on and writes at the next interval. If the last one of a training
    could not be written, it is tried once more, and the training ends with an error if that fails, too.

    Args:
        args, kwargs: those of mmengine's hook.
        minutes: also save when this time has passed since the last checkpoint, as ``iter_N.pth``; None: do not.

    Files go to local disks in this way; to others with mmengine's backend for them.
    """

    def __init__(self, *args: Any, minutes: float | None = None, **kwargs: Any):
        if minutes is not None and minutes <= 0:
            raise ValueError(f'minutes={minutes} must be positive')
        self.backend_args: dict | None = None
        super().__init__(*args, **kwargs)
        self._kept: list[str] = []
        self._is_due = False
        self._failed = ''  # the last checkpoint that could not be written, if none stands since
        self.saved_at: int | None = None
        self._minutes, self._saved_time, self._agreement = minutes, time.monotonic(), Agreement()

    def before_train(self, runner: Runner) -> None:
        """Choose where to write; delete what a kill left behind.

        Raises:
            RuntimeError: if the processes have resumed from different checkpoints.
        """
        iterations = all_gather_object(runner.iter)
        if len(set(iterations)) > 1:
            raise RuntimeError(f'the processes have resumed from different iterations: {iterations} (by rank). Do all see '
                               'the same work folder?')
        chosen = self.file_client_args or self.backend_args
        if not chosen and isinstance(get_file_backend(self.out_dir or runner.work_dir), LocalBackend):
            self.backend_args = dict(backend=BACKEND)
        super().before_train(runner)
        info = runner.message_hub.runtime_info
        self.last_ckpt = info.get('last_ckpt')
        if self.max_keep_ckpts > 0:
            # The second is what mmengine's hook has noted. It would drop names before their files are deleted.
            self._kept = list(info.get('kept_checkpoints') or map(self.filename_tmpl.format, self.keep_ckpt_ids))
        if is_main_process():
            if isinstance(self.file_backend, WholeFileBackend):
                remove_unfinished(self.out_dir)
                remove_unfinished(runner.work_dir)
            self._delete_surplus(runner)
        self._delete_outdated_best(runner)

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Save at the interval; where gradients are accumulated, at the next update, because they are not saved."""
        if not self.by_epoch:
            is_last = self.save_last and self.is_last_train_iter(runner)
            self._is_due |= is_last or self.every_n_train_iters(runner, self.interval, self.save_begin)
        if self._minutes is not None:
            self._is_due |= self._agreement.ask(time.monotonic() - self._saved_time >= 60 * self._minutes)
        if self._is_due and at_update(runner):
            self._is_due = False
            step = runner.iter + 1
            name = f'iter_{step}.pth' if self.by_epoch else self.filename_tmpl.format(step)
            self.save(runner, name, dict(epoch=runner.epoch, iter=step))

    def save(self, runner: Runner, name: str, meta: dict) -> bool:
        """Save a checkpoint to resume from, then delete older ones; every rank must call this.

        Args:
            runner: the training.
            name: of the file.
            meta: ``epoch`` and ``iter``: how many are finished.

        Returns:
            Whether it stands. If not, everything is as before.
        """
        runner.call_hook('before_save_of_all_ranks')
        hub = runner.message_hub
        before = self.last_ckpt, self._kept
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        hub.update_info('last_ckpt', self.last_ckpt)
        if self.max_keep_ckpts > 0:
            # With those to be deleted: if a kill prevents that, it is done after a resume.
            self._kept = [*(other for other in self._kept if other != name), name]
            hub.update_info('kept_checkpoints', self._kept)
        stands = self._written(runner, name, meta, save_optimizer=self.save_optimizer,
                               save_param_scheduler=self.save_param_scheduler, by_epoch=self.by_epoch, **self.args)
        if not stands:
            self.last_ckpt, self._kept = before
            hub.update_info('last_ckpt', self.last_ckpt)
            hub.update_info('kept_checkpoints', self._kept)
        elif is_main_process() and self._is_noted(runner):
            self._delete_surplus(runner)
        self._saved_time = time.monotonic()
        self._failed = '' if stands else name
        self.saved_at = meta['iter'] if stands else self.saved_at
        self._kept = self._kept[-self.max_keep_ckpts:] if stands and self.max_keep_ckpts > 0 else self._kept
        return stands

    def after_train(self, runner: Runner) -> None:
        """Save what could not be saved before.

        Raises:
            NotSaved: if it cannot be saved now, either.
        """
        self._agreement.end()
        if self._failed and not self.save(runner, self._failed, dict(epoch=runner.epoch, iter=runner.iter)):
            raise NotSaved(f'{self.file_backend.join_path(self.out_dir, self._failed)} could not be saved, so the end of '
                           'this training is lost: make room, then --resume goes on from the last checkpoint')
        super().after_train(runner)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """What mmengine's hook calls at each interval of epochs."""
        if at_update(runner):
            self.save(runner, self.filename_tmpl.format(step), meta)
        else:  # accumulated gradients are not saved
            self._is_due = True

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """What mmengine's hook calls after a validation."""
        if not self.save_best:
            return
        if 'auto' in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        outdated = [self._save_if_best(runner, key, rule, metrics[key])
                    for key, rule in zip(self.key_indicators, self.rules)]
        if all(path is None for path in outdated):
            return
        hub = runner.message_hub
        hub.update_info('outdated_best', [*(hub.runtime_info.get('outdated_best') or []), *filter(None, outdated)])
        hub.update_info(VALIDATED, runner.iter)
        # What is resumed knows the best checkpoint only if it is saved again.
        step = runner.epoch if self.by_epoch else runner.iter
        self._is_due |= not at_update(runner)
        noted = self.last_ckpt is None or not self._is_due and self.save(
            runner, self.filename_tmpl.format(step), dict(epoch=runner.epoch, iter=runner.iter))
        if noted:
            self._delete_outdated_best(runner)

    def _delete_outdated_best(self, runner: Runner) -> None:
        """Delete former best checkpoints. If a kill prevents it, it is done after a resume."""
        for path in runner.message_hub.runtime_info.get('outdated_best') or []:
            if is_main_process():
                self._delete(runner, path)
        runner.message_hub.update_info('outdated_best', [])

    def _save_if_best(self, runner: Runner, key: str, rule: str, score: float | None) -> str | None:
        """Save the weights if a metric is better than ever.

        Returns:
            None if it is not, or the file could not be written; otherwise the previous best file, or '' if there is none in
            this folder: a training may have been resumed from a checkpoint of another one.
        """
        suffix = '' if len(self.key_indicators) == 1 else f'_{key}'
        hub = runner.message_hub
        info = hub.runtime_info
        if score is None or not self.is_better_than[key](score, info.get(f'best_score{suffix}', self.init_value_map[rule])):
            return None
        step = runner.epoch if self.by_epoch else runner.iter
        name = f'best_{key}_{self.filename_tmpl.format(step)}'.replace('/', '_')
        # The file knows its own score, as what mmengine saves.
        before = {kind: info.get(f'{kind}{suffix}') for kind in ('best_score', 'best_ckpt')}
        path = self.file_backend.join_path(self.out_dir, name)
        hub.update_info(f'best_score{suffix}', score)
        hub.update_info(f'best_ckpt{suffix}', path)
        if not self._written(runner, name, dict(epoch=runner.epoch, iter=runner.iter), save_optimizer=False,
                             save_param_scheduler=False, by_epoch=False):
            for kind, value in before.items():
                if value is None:
                    hub.pop_info(f'{kind}{suffix}')
                else:
                    hub.update_info(f'{kind}{suffix}', value)
            return None
        if suffix:
            self.best_ckpt_path_dict[key] = path
        else:
            self.best_ckpt_path = path
        runner.logger.info(f'The best checkpoint with {score:0.4f} {key} at {step} {"epoch" if self.by_epoch else "iter"} '
                           f'is saved to {name}.')
        previous = before['best_ckpt'] or ''
        is_ours = os.path.dirname(os.path.abspath(previous)) == os.path.dirname(os.path.abspath(path))
        return previous if is_ours and previous != path else ''

    def _written(self, runner: Runner, name: str, meta: dict, **settings: Any) -> bool:
        """Write a checkpoint on the first rank; whether it stands, on every rank."""
        outcome = [True]
        try:
            runner.save_checkpoint(self.out_dir, name, self.file_client_args, meta=meta, backend_args=self.backend_args,
                                   **settings)
        except OSError as error:
            runner.logger.error(f'{name} could not be saved: {_reason(error)}. Everything saved before is kept; the '
                                'training goes on and saves again at the next interval.')
            outcome = [False]
        broadcast_object_list(outcome)
        return outcome[0]

    def _is_noted(self, runner: Runner) -> bool:
        """Note the newest checkpoint in ``last_checkpoint``; whether that succeeded."""
        try:
            write_whole(Path(runner.work_dir) / 'last_checkpoint', str(self.last_ckpt).encode())
        except OSError as error:
            runner.logger.error(f'last_checkpoint could not be written: {_reason(error)}. It may name an older '
                                'checkpoint, which is kept.')
            return False
        return True

    def _delete_surplus(self, runner: Runner) -> None:
        if self.max_keep_ckpts > 0:
            for name in self._kept[:-self.max_keep_ckpts]:
                self._delete(runner, self.file_backend.join_path(self.out_dir, name))

    def _delete(self, runner: Runner, path: str) -> None:
        """Delete a checkpoint, which deepspeed makes as a folder."""
        try:
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)
            elif self.file_backend.isdir(path):
                self.file_backend.rmtree(path)
        except OSError as error:
            runner.logger.error(f'{path} could not be deleted: {_reason(error)}')
