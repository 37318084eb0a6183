"""Processes that learn which of them died, and end with its name instead of waiting for it."""
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import torch.distributed as dist
from mmengine.dist import barrier, broadcast_object_list, get_rank, get_world_size
from mmengine.logging import print_log

SILENCE, SILENCE_AFTER_ERROR = 40.0, 10.0  # seconds without a sign of life after which a rank counts as dead
ADVICE = 'All processes end; --resume goes on from the last checkpoint.'


class RankLost(RuntimeError):
    """Another process died or failed; the message names its rank."""


def _is_of_the_group(error: BaseException) -> bool:
    """Whether an error tells that another process does not answer, rather than a fault of this one."""
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in ('gloo', 'NCCL')))


class RankWatch:
    """Signs of life of all ranks, in a store of the first one.

    A thread of each rank gives one each second. That of the first rank looks for those of all, and writes down the first
    that is missing; the others look for this note, and for the first rank itself.

    Args:
        silence: seconds without a sign of life after which a rank counts as dead.
        after_error: the same once a rank could not reach another one.
    """

    def __init__(self, silence: float = SILENCE, after_error: float = SILENCE_AFTER_ERROR):
        self.silence, self.after_error = silence, after_error
        self.rank, self.host = get_rank(), os.environ.get('MASTER_ADDR', 'localhost')
        port = [0]
        if self.rank == 0:
            self.store = self._store(0)
            self._set('cause', '')
            self._set('doubt', '')
            for rank in range(get_world_size()):
                self._set(f'life{rank}', '0 ?')
            port = [self.store.port]
        broadcast_object_list(port)
        if self.rank:
            self.store = self._store(port[0])
        self.cause, self.is_known, self.ended, self.is_handled = '', threading.Event(), threading.Event(), False
        self.thread = threading.Thread(target=self._watch, name='rank watch', daemon=True)
        self.thread.start()

    def _store(self, port: int) -> dist.TCPStore:
        return dist.TCPStore(self.host, port, is_master=self.rank == 0, wait_for_workers=False,
                             timeout=timedelta(seconds=self.silence))

    def _set(self, key: str, value: str) -> None:
        self.store.set(key, value)

    def _get(self, key: str) -> str:
        return self.store.get(key).decode()

    def _watch(self) -> None:
        seen = {rank: ('', time.monotonic()) for rank in range(get_world_size() if self.rank == 0 else 0)}
        number, period, last = 0, min(1.0, self.after_error / 4), time.monotonic()
        while not self.ended.wait(period) and not self.cause:
            number += 1
            # This process may have stood still, and the others with it, as in a suspended job: that time does not count.
            paused, last = max(0.0, time.monotonic() - last - 2 * period), time.monotonic()
            seen = {rank: (life, since + paused) for rank, (life, since) in seen.items()}
            try:
                self._set(f'life{self.rank}', f'{number} {socket.gethostname()}')
                self._look(seen)
                self.cause = self._get('cause')
            except Exception as error:  # of the store: it is in the first rank
                if self.ended.wait(self.after_error / 2):  # all ranks end, and the first one was faster
                    return
                self.cause = f'rank 0 (on {self.host}) died, or cannot be reached: {str(error).partition(chr(10))[0]}'
        self.is_known.set()
        # Whoever waits for a GPU hears nothing.
        if self.cause and not self.ended.wait(self.after_error / 2) and not self.is_handled:
            print_log(f'{self.cause}. {ADVICE}', logger='current', level=logging.ERROR)
            logging.shutdown()
            os._exit(1)

    def _look(self, seen: dict[int, tuple[str, float]]) -> None:
        """On the first rank: note a rank that gave no sign of life."""
        limit = self.after_error if seen and self._get('doubt') else self.silence
        for rank, (before, since) in seen.items():
            life = self._get(f'life{rank}')
            if life != before:
                seen[rank] = life, time.monotonic()
            elif time.monotonic() - since > limit:
                self._note(f'rank {rank} (on {life.split()[1]}) died: no sign of life for {limit:.0f} seconds')

    def _note(self, cause: str) -> None:
        """Write down the first cause."""
        self.store.compare_set('cause', '', cause)

    def explain(self, error: Exception) -> None:
        """Tell the others of an error of this rank; of one that comes from another rank, say which.

        Raises:
            RankLost: naming the rank that died or failed.
        """
        self.is_handled = True
        with suppress(Exception):  # the store may be gone, which the thread finds out, too
            if _is_of_the_group(error):
                self._set('doubt', str(self.rank))
                self.is_known.wait(2 * self.after_error)
            if not self.cause:
                text = str(error).strip().rpartition('\n')[2][:500]
                self._note(f'rank {self.rank} (on {socket.gethostname()}) failed: {type(error).__name__}: {text}')
                time.sleep(0 if self.rank else self.after_error / 4)  # so that all read it
                return
        if self.is_known.wait(self.after_error):
            raise RankLost(f'{self.cause}. {ADVICE}') from error


@contextmanager
def watched_ranks(silence: float = SILENCE, after_error: float = SILENCE_AFTER_ERROR) -> Iterator[None]:
    """While active, no process waits for one that died: it ends within a minute, and names the rank.

    All ranks must enter it. A rank that can be reached no more is found out by an error of the process group, or without
    one, as where a GPU waits: the process then writes the reason into the log and ends.

    Args:
        silence, after_error: those of ``RankWatch``.

    Raises:
        RankLost: naming the rank, if another one died or failed.
    """
    if get_world_size() == 1:
        yield
        return
    watch = RankWatch(silence, after_error)
    try:
        yield
        barrier()  # the first rank has the store
    except Exception as error:
        watch.explain(error)
        raise
    finally:
        watch.ended.set()
