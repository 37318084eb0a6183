"""When a process dies or fails, the others end and name it."""
import os
import signal
import time

import pytest
import torch.distributed as dist
from helpers.faults import end, start_ranks, wait_for

from mmvisattn.training.rank_watch import RankLost, watched_ranks


def work(rank, folder, culprit, deed):
    """Wait for each other again and again, until the culprit does something; write down what was raised."""
    import torch
    try:
        with watched_ranks(silence=3, after_error=1):
            for number in range(1000):
                if (rank, number) == (culprit, 3):
                    deed()
                dist.all_reduce(torch.zeros(1))
    except Exception as error:
        (folder / f'raised{rank}').write_text(f'{type(error).__name__}: {error}')
        raise


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def fail():
    raise ValueError('broken.jpg cannot be read')


@pytest.mark.parametrize('culprit', [0, 1, 2])
@pytest.mark.parametrize('deed, words', [(kill, 'died'), (fail, 'failed: ValueError: broken.jpg cannot be read')],
                         ids=['killed', 'failed'])
def test_the_others_name_the_rank(tmp_path, culprit, deed, words):
    begun = time.monotonic()
    statuses = end(start_ranks(lambda rank: work(rank, tmp_path, culprit, deed), 3))
    assert time.monotonic() - begun < 60 and all(statuses)
    for rank in {0, 1, 2} - {culprit}:
        raised = (tmp_path / f'raised{rank}').read_text()
        assert raised.startswith(f'{RankLost.__name__}: rank {culprit} (on ') and words in raised


def test_a_rank_that_hangs_is_found_without_an_error(tmp_path):
    """As on a GPU: the others wait, and nothing tells them."""
    def hang(rank):
        with watched_ranks(silence=1, after_error=1):
            if rank == 1:
                os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(60)

    processes = start_ranks(hang, 2)
    try:
        assert end(processes[:1]) == [1]
    finally:
        os.kill(processes[1], signal.SIGKILL)
        end(processes[1:])


def test_all_end_well(tmp_path):
    def calm(rank):
        with watched_ranks(silence=3, after_error=1):
            time.sleep(rank * 0.5)

    assert end(start_ranks(calm, 2)) == [0, 0]


def test_processes_that_stood_still_are_alive(tmp_path):
    """As in a suspended job."""
    def steady(rank):
        with watched_ranks(silence=2, after_error=1):
            (tmp_path / f'begun{rank}').touch()
            time.sleep(3)

    processes = start_ranks(steady, 2)
    wait_for(lambda: len(list(tmp_path.glob('begun*'))) == 2)
    time.sleep(0.5)
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    time.sleep(3)
    os.kill(processes[0], signal.SIGCONT)
    time.sleep(0.7)
    os.kill(processes[1], signal.SIGCONT)
    assert end(processes) == [0, 0]
