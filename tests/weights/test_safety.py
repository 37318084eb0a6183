"""mmengine's training checkpoints load, and hostile ones do not run, in a process set up like the tools."""
import pytest
from mmengine.logging import HistoryBuffer

from mmvisattn.weights.inert import _history_buffer_method

SETUP = """
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import load_checkpoint
from mmvisattn import read_checkpoints_safely
read_checkpoints_safely()
"""

TRAINING = SETUP + """
import numpy as np
buffer = HistoryBuffer([1.0, 2.0], [1, 1])
torch.save(dict(state_dict=torch.nn.Linear(1, 1).state_dict(), message_hub=dict(
    log_scalars=dict(loss=buffer), runtime_info=dict(best=np.float64(3), array=np.arange(3)))), 'last.pth')
content = load_checkpoint(torch.nn.Linear(1, 1), 'last.pth')
assert content['message_hub']['log_scalars']['loss'].current() == 2.0
"""

HOSTILE = SETUP + """
import os
class Hostile:
    def __reduce__(self):
        return {callable}
torch.save(dict(state_dict={{}}, extra=Hostile()), 'hostile.pth')
try:
    load_checkpoint(torch.nn.Linear(1, 1), 'hostile.pth')
finally:
    assert not os.path.exists('trace')
"""


def test_training_checkpoints_load(run_tool):
    done = run_tool('-c', TRAINING)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('call', ["os.system, ('touch trace',)", "eval, ('open(chr(116) + \"race\", \"w\")',)"])
def test_hostile_checkpoints_do_not_run(run_tool, call):
    done = run_tool('-c', HOSTILE.format(callable=call))
    assert done.returncode != 0
    assert 'AssertionError' not in done.stderr
    assert any(word in done.stderr for word in ('UnpicklingError', 'RuntimeError', 'TypeError')), done.stderr


PRETRAINED = """
import os, sys
import torch
import mmvisattn
from mmengine.model import BaseModule
if sys.argv[1:] == ['safe']:
    mmvisattn.read_checkpoints_safely()
class Hostile:
    def __reduce__(self):
        return os.system, ('touch trace',)
class Model(BaseModule):
    def __init__(self):
        super().__init__(init_cfg=dict(type='Pretrained', checkpoint='hostile.pth'))
        self.layer = torch.nn.Linear(1, 1)
torch.save(dict(state_dict={}, extra=Hostile()), 'hostile.pth')
try:
    Model().init_weights()
except Exception as error:
    print(type(error).__name__)
"""


def test_the_line_of_the_documentation_protects_tools_of_others(run_tool, tmp_path, monkeypatch):
    """Without it, OneDL's mmengine runs the code; OpenMMLab's refuses the file."""
    from importlib.metadata import distributions
    monkeypatch.delenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', raising=False)  # tests that run tools in this process set it
    line = {dist.metadata['Name'] for dist in distributions()}
    done = run_tool('-c', PRETRAINED)
    assert (tmp_path / 'trace').exists() == ('onedl-mmengine' in line), done.stdout + done.stderr
    (tmp_path / 'trace').unlink(missing_ok=True)
    done = run_tool('-c', PRETRAINED, 'safe')
    assert done.returncode == 0 and 'UnpicklingError' in done.stdout and not (tmp_path / 'trace').exists(), done.stderr


CRAFTED = SETUP + """
import numpy as np
class Reduces:
    def __init__(self, *call):
        self.call = call
    def __reduce__(self):
        return self.call
objects = Reduces(np.ndarray, ((4,), Reduces(np.dtype, ('O',)), b'A' * 32))
torch.save(dict(state_dict={}, extra=Reduces(np.ndarray, (objects,))), 'hostile.pth')
load_checkpoint(torch.nn.Linear(1, 1), 'hostile.pth')
"""


def test_crafted_arrays_do_not_bring_the_process_down(run_tool):
    assert run_tool('-c', CRAFTED).returncode in (0, 1)


def test_getattr_answers_for_history_buffers_methods_only():
    assert _history_buffer_method(HistoryBuffer, 'mean') is HistoryBuffer.mean
    for owner, name in ((HistoryBuffer, '__init__'), (str, 'format')):
        with pytest.raises(TypeError, match=name):
            _history_buffer_method(owner, name)
