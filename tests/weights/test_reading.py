"""Files are read without running code from them."""
import argparse
import datetime
import os
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from mmvisattn.weights import read_checkpoint, read_weights
from mmvisattn.weights.inert import NUMPY_TYPES, Array, DType

STATE = {'a.weight': torch.arange(3.0)}


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def assert_read(state):
    assert list(state) == list(STATE) and torch.equal(state['a.weight'], STATE['a.weight'])


def test_a_hostile_file_is_refused_and_not_run(tmp_path, monkeypatch):
    trace = tmp_path / 'trace'
    torch.save(dict(STATE, extra=Hostile(f'touch {trace}')), tmp_path / 'hostile.pth')
    with pytest.raises(ValueError, match='hostile.pth.*never run'):
        read_checkpoint(tmp_path / 'hostile.pth')
    assert not trace.exists()
    monkeypatch.delenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', raising=False)  # the tools set it
    with open(tmp_path / 'hostile.pth', 'rb') as file:  # the command does run if the file is loaded unsafely
        torch.load(file, weights_only=False)
    assert trace.exists()


def test_a_pickled_config_node_is_data_only(tmp_path, monkeypatch):
    """As in CrossFormer's and SMT's files; yacs is not needed to read them."""
    module = types.ModuleType('yacs.config')
    module.CfgNode = type('CfgNode', (dict,), dict(__module__='yacs.config'))
    monkeypatch.setitem(sys.modules, 'yacs', types.ModuleType('yacs'))
    monkeypatch.setitem(sys.modules, 'yacs.config', module)
    config = module.CfgNode(MODEL=module.CfgNode(NAME='x'))
    config.__dict__['__immutable__'] = True
    torch.save(dict(model=STATE, config=config), tmp_path / 'official.pth')
    monkeypatch.delitem(sys.modules, 'yacs.config')
    assert_read(read_checkpoint(tmp_path / 'official.pth'))


@pytest.mark.parametrize('core', ['core', '_core'])
def test_arguments_and_numpy_scalars_are_data_only(core, tmp_path, monkeypatch):
    """As timm writes them into TopFormer's files, with the module names of numpy 1 or 2."""
    extra = dict(args=argparse.Namespace(lr=np.float64(0.1), mean=np.array([1.0, 2.0], dtype=np.float32), name='x',
                                         on=np.bool_(True), steps=np.array(['a', 'bc'])))
    module = types.ModuleType(f'numpy.{core}.multiarray')
    for name, function in (('scalar', np.float64(0).__reduce__()[0]), ('_reconstruct', np.empty(0).__reduce__()[0])):
        monkeypatch.setattr(function, '__module__', module.__name__, raising=False)
        setattr(module, name, function)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    torch.save(dict(state_dict=STATE, **extra), tmp_path / 'official.pth')
    content = b''.join(zipfile.ZipFile(tmp_path / 'official.pth').read(name) for name in ('official/data.pkl',))
    assert f'numpy.{core}.multiarray'.encode() in content
    assert_read(read_checkpoint(tmp_path / 'official.pth'))


def test_arguments_that_run_code_are_refused(tmp_path):
    trace = tmp_path / 'trace'
    torch.save(dict(STATE, args=argparse.Namespace(hook=Hostile(f'touch {trace}'))), tmp_path / 'hostile.pth')
    with pytest.raises(ValueError, match='hostile.pth.*never run'):
        read_checkpoint(tmp_path / 'hostile.pth')
    assert not trace.exists()


class Reduces:
    """Is unpickled by calling a given function with given arguments."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


OBJECTS = Reduces(np.dtype, ('O',))


@pytest.mark.parametrize('content', [
    Reduces(np.ndarray, (Reduces(np.ndarray, ((4,), OBJECTS, b'A' * 32)),)),  # objects at addresses of the file's choice
    Reduces(np.ndarray, ((4,), OBJECTS, b'A' * 32)),
    Reduces(np.ndarray, ((1 << 50,),)),
    Reduces(np.dtype, ('nonsense',)),
    Reduces(np.empty(0).__reduce__()[0], (np.ndarray, (4,), b'O'), (1, (4,), OBJECTS, False, b'A' * 32)),
    Reduces(np.empty(0).__reduce__()[0], (np.ndarray, (0,), b'b'), (1, (9,), np.dtype('f8'), False, b'A')),
    Reduces(np.float64(0).__reduce__()[0], (OBJECTS, b'A' * 8)),
    Reduces(np.float64(0).__reduce__()[0], (np.dtype('f8'), b'A')),
], ids=['nested', 'objects', 'huge', 'nonsense', 'object state', 'short state', 'object scalar', 'short scalar'])
def test_crafted_arrays_are_refused_or_read_as_nothing(content, run_tool, tmp_path):
    """In a separate process, because numpy's own constructors would crash it."""
    torch.save(dict(state_dict=STATE, meta=content), tmp_path / 'hostile.pth')
    code = f"""
from mmvisattn.weights import read_checkpoint
try:
    print(list(read_checkpoint({str(tmp_path / 'hostile.pth')!r})))
except ValueError as error:
    print('refused:', error)
"""
    done = run_tool('-c', code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith((f'{list(STATE)}', 'refused: '))


def test_an_array_is_filled_once():
    array = Array()
    state = (1, (2,), DType('f8'), False, bytes(16))
    array.__setstate__(state)
    with pytest.raises(ValueError, match='filled twice'):
        array.__setstate__(state)


def test_a_file_that_refers_to_itself_is_refused(tmp_path):
    content = dict(epoch=1)
    content['model'] = content
    torch.save(content, tmp_path / 'self.pth')
    with pytest.raises(ValueError, match='no state dict'):
        read_checkpoint(tmp_path / 'self.pth')


def test_methods_replaced_by_data_are_not_called(tmp_path):
    state = OrderedDict(STATE)
    state.__dict__.update(values=1, get=2)
    torch.save(state, tmp_path / 'odd.pth')
    assert_read(read_checkpoint(tmp_path / 'odd.pth'))


@pytest.mark.parametrize('content', [
    {0: torch.ones(1)}, {'a': torch.ones(2).to_sparse()}, {'a': torch.ones(2, dtype=torch.complex64)},
    {'a': torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)}], ids=['numbers', 'sparse', 'complex', 'quantized'])
def test_what_is_no_plain_state_dict_is_refused(content):
    with pytest.raises(ValueError, match='the given dict holds'):
        read_checkpoint(content)


def test_other_pickle_protocols_are_explained(tmp_path):
    torch.save(dict(STATE, args=argparse.Namespace(a=1)), tmp_path / 'four.pth', pickle_protocol=4)
    with pytest.raises(ValueError, match='default protocol'):
        read_checkpoint(tmp_path / 'four.pth')


def test_arrays_are_read_with_their_values(tmp_path):
    """As in mmengine's own training checkpoints; saved again, they are plain numpy arrays."""
    arrays = [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.eye(3, dtype=np.float32)), np.zeros((2, 0)),
              np.array(['a', 'é']), np.array(True), np.int64(3), np.float32(0.5)]
    torch.save(dict(arrays=arrays), tmp_path / 'state.pth')
    for _ in range(2):
        with torch.serialization.safe_globals(NUMPY_TYPES):
            read = torch.load(tmp_path / 'state.pth', weights_only=True)['arrays']
        for array, expected in zip(read, arrays):
            assert array.dtype == expected.dtype and array.shape == expected.shape and np.array_equal(array, expected)
        torch.save(dict(arrays=read), tmp_path / 'state.pth')
    assert b'mmvisattn' not in (tmp_path / 'state.pth').read_bytes()


def test_what_is_refused_is_named(tmp_path):
    torch.save(dict(STATE, extra=Reduces(os.getcwd, ())), tmp_path / 'hostile.pth')
    with pytest.raises(ValueError, match=r'refers to posix.getcwd, which is no data$'):
        read_checkpoint(tmp_path / 'hostile.pth')


def test_paths_and_dates_are_data(tmp_path):
    args = argparse.Namespace(output=Path('/x/y'), started=datetime.datetime(2026, 1, 2), names={'a', 'b'})
    torch.save(dict(state_dict=STATE, args=args), tmp_path / 'official.pth')
    assert_read(read_checkpoint(tmp_path / 'official.pth'))


EMA = {'a.weight': torch.arange(3.0) + 1}


@pytest.mark.parametrize('content', [
    dict(state_dict=EMA, state_dict_ema=STATE), dict(state_dict_ema=STATE, model=EMA),
    dict(model=dict(state_dict_ema=STATE))])
def test_averaged_weights_come_first_and_are_reported(content):
    state, note = read_weights(content)
    assert_read(state)
    assert note.startswith('the weights of state_dict_ema')
    assert ('not those of' in note) == (len(content) > 1)


def test_raw_weights_can_be_chosen():
    state, note = read_weights(dict(state_dict=STATE, state_dict_ema=EMA), 'raw')
    assert_read(state)
    assert note == 'the weights of state_dict, not those of state_dict_ema'
    assert read_weights(dict(state_dict=STATE))[1] == ''
    assert_read(read_weights(dict(state_dict=STATE, state_dict_ema={}))[0])
    with pytest.raises(ValueError, match='averaged weights only'):
        read_checkpoint(dict(state_dict_ema=STATE), 'raw')
    with pytest.raises(ValueError, match="weights='mean'"):
        read_checkpoint(STATE, 'mean')


def test_a_training_that_averages_has_its_raw_weights_elsewhere():
    content = dict(state_dict=EMA, ema_state_dict=dict(
        steps=torch.tensor(4), **{f'module.{name}': tensor for name, tensor in STATE.items()}))
    state, note = read_weights(content, 'raw')
    assert_read(state)
    assert note == 'the weights of ema_state_dict, not the averaged ones of state_dict'
    averaged, note = read_weights(content)
    assert list(averaged) == list(EMA) and torch.equal(averaged['a.weight'], EMA['a.weight'])
    assert note == 'the averaged weights of state_dict, not those of ema_state_dict'


@pytest.mark.parametrize('content', [b'', b'not a checkpoint', pickle.dumps(3)], ids=['empty', 'text', 'pickle'])
def test_damaged_files_are_named(content, tmp_path):
    (tmp_path / 'bad.pth').write_bytes(content)
    with pytest.raises(ValueError, match='bad.pth'):
        read_checkpoint(tmp_path / 'bad.pth')


def test_a_truncated_file_is_named(tmp_path):
    torch.save(STATE, tmp_path / 'whole.pth')
    (tmp_path / 'half.pth').write_bytes((tmp_path / 'whole.pth').read_bytes()[:300])
    with pytest.raises(ValueError, match='half.pth.*its end is missing'):
        read_checkpoint(tmp_path / 'half.pth')


def test_a_web_page_is_named(tmp_path):
    (tmp_path / 'page.pth').write_bytes(b'\n<!DOCTYPE html>')
    with pytest.raises(ValueError, match='page.pth.*a web page'):
        read_checkpoint(tmp_path / 'page.pth')


def test_a_file_without_weights_is_explained(tmp_path):
    torch.save(dict(epoch=3), tmp_path / 'log.pth')
    with pytest.raises(ValueError, match='state_dict_ema'):
        read_checkpoint(tmp_path / 'log.pth')


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        read_checkpoint('nowhere.pth')
