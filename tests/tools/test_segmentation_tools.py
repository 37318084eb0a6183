"""The tools, run as a user runs them: real processes, mmseg's Runner and metrics, gloo between processes."""
import json
import os
import re
import shutil

import cv2
import numpy as np
import pytest
import torch
from helpers import runs
from helpers.reduced import ROOT
from helpers.runs import assert_refused, scalars

pytest.importorskip('mmseg')
TOOLS = ROOT / 'tools'
CONFIG = ROOT / 'configs/topformer/topformer-tiny_simple-head_1xb16-850_miniature-96x96.py'


def options(data_root, **settings):
    """Four iterations, validated and saved at every second one."""
    return runs.options(data_root, 2, **{'train_cfg.max_iters': 4, **settings})


@pytest.fixture(scope='module')
def trained(run_tool_in, miniature, tmp_path_factory):
    """A work folder of four iterations."""
    work_dir = tmp_path_factory.mktemp('run')
    done = run_tool_in(work_dir, TOOLS / 'train.py', CONFIG, '--work-dir', work_dir, *options(miniature))
    assert done.returncode == 0, done.stderr
    return work_dir


def metrics_of(done):
    """The metrics in the last line of a test's log."""
    line = [line for line in (done.stdout + done.stderr).splitlines() if 'Iter(test)' in line][-1]
    return {name: float(value) for name, value in re.findall(r'(\w+): ([\d.]+)', line)}


def test_training_validates_and_saves(trained):
    records = scalars(trained)
    assert [r['step'] for r in records if 'loss' in r] == [1, 2, 3, 4]
    assert [r['step'] for r in records if 'mIoU' in r] == [2, 4]
    assert (trained / 'iter_4.pth').is_file() and list(trained.glob('best_mIoU_*.pth'))


def test_resume_continues_from_the_latest(run_tool, trained, miniature, tmp_path):
    work_dir = tmp_path / 'run'
    work_dir.mkdir()
    for name in ('iter_4.pth', 'last_checkpoint'):
        (work_dir / name).write_bytes((trained / name).read_bytes())
    (work_dir / 'last_checkpoint').write_text('')  # as kills leave it without mmvisattn.CheckpointHook
    (work_dir / 'iter_5.pth').write_bytes((trained / 'iter_4.pth').read_bytes()[:1000])
    done = run_tool(TOOLS / 'train.py', CONFIG, '--work-dir', work_dir, '--resume',
                    *options(miniature, **{'train_cfg.max_iters': 6}))
    assert done.returncode == 0, done.stderr
    assert [r['step'] for r in scalars(work_dir) if 'loss' in r] == [5, 6]
    assert f'passed over {work_dir}/iter_5.pth: it is cut off' in done.stdout + done.stderr
    assert f'goes on from {work_dir}/iter_4.pth, after 4 iterations' in done.stdout + done.stderr


def test_resume_continues_from_a_path(run_tool, trained, miniature, tmp_path):
    done = run_tool(TOOLS / 'train.py', CONFIG, '--work-dir', tmp_path / 'run', '--resume', trained / 'iter_2.pth',
                    '--auto-scale-lr', *options(miniature))
    assert done.returncode == 0, done.stderr
    assert [r['step'] for r in scalars(tmp_path / 'run') if 'loss' in r] == [3, 4]
    assert 'LR is set based on batch size of 16' in done.stdout + done.stderr


@pytest.mark.slow
def test_several_seeds_are_trained(run_tool, miniature, tmp_path):
    done = run_tool(TOOLS / 'train.py', CONFIG, '--work-dir', 'run', '--seed', 3, '--seeds', 2, '--resume',
                    *options(miniature, **{'train_cfg.max_iters': 2}))
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / 'run/seeds.json').read_text())
    assert list(content['best']) == ['3', '4'] and content['deviation'] > 0
    assert ' ± ' in done.stdout


def test_several_seeds_are_summed_up(run_tool, trained, tmp_path):
    for seed in (3, 10):
        shutil.copytree(trained, tmp_path / f'run/seed-{seed}')
    (tmp_path / 'run/seed-11').mkdir()
    shutil.copytree(trained, tmp_path / 'run/seed-12')  # interrupted before its first validation
    for log in (tmp_path / 'run/seed-12').glob('*/vis_data/scalars.json'):
        log.write_text(''.join(line for line in log.read_text().splitlines(keepends=True) if 'mIoU' not in line))
    log = next((tmp_path / 'run/seed-10').glob('*/vis_data/scalars.json'))
    records = [json.loads(line) for line in log.read_text().splitlines()]
    log.write_text(''.join(json.dumps(dict(r, mIoU=r['mIoU'] + 10) if 'mIoU' in r else r) + '\n' for r in records))
    done = run_tool(TOOLS / 'report.py', 'run', '--compare', 'run')
    assert done.returncode == 0, done.stderr
    best = max(r['mIoU'] for r in records if 'mIoU' in r)
    content = json.loads((tmp_path / 'run/seeds.json').read_text())
    assert content == dict(metric='mIoU', best={'3': best, '10': best + 10}, mean=pytest.approx(best + 5),
                           deviation=pytest.approx(50**0.5))
    assert ' ± 0.071: ' in done.stdout and 'left out: seed-11, seed-12' in done.stdout
    assert (tmp_path / 'run/report.png').is_file()


def test_testing_paints_and_writes(run_apart, trained, miniature, tmp_path):
    done = run_apart(TOOLS / 'test.py', CONFIG, trained / 'iter_4.pth', '--work-dir', tmp_path / 'run', '--show-dir',
                      tmp_path / 'painted', '--out', tmp_path / 'labels', *options(miniature))
    assert done.returncode == 0, done.stderr
    assert 'mIoU' in done.stdout + done.stderr
    painted = sorted((tmp_path / 'painted').rglob('*.png'))
    labels = sorted((tmp_path / 'labels').glob('*.png'))
    truths = sorted((miniature / 'annotations' / 'validation').iterdir())
    assert len(painted) == len(labels) == len(truths) == 3
    for path, truth in zip(labels, truths):
        written, true = (cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in (path, truth))
        assert written.shape == true.shape and written.min() >= 1 and written.max() <= 10
    expected = scalars(trained)[-1]['mIoU']
    assert metrics_of(done)['mIoU'] == pytest.approx(expected, abs=0.01)


def test_testing_with_augmentation(run_tool, trained, miniature, tmp_path):
    done = run_tool(TOOLS / 'test.py', CONFIG, trained / 'iter_4.pth', '--work-dir', tmp_path / 'run', '--tta',
                    *options(miniature))
    assert done.returncode == 0, done.stderr
    assert 0 <= metrics_of(done)['mIoU'] <= 100


def test_the_report_draws_and_says_where_everything_is(run_tool, trained):
    done = run_tool(TOOLS / 'report.py', trained, '--compare', trained)
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(maxsplit=1) for line in done.stdout.strip().splitlines()[-4:])
    best = max(r['mIoU'] for r in scalars(trained) if 'mIoU' in r)
    assert lines['mIoU'].startswith(f'{best / 100:.3f}')
    assert all(os.path.isfile(lines[name]) for name in ('picture', 'log', 'checkpoint'))
    picture = cv2.imread(lines['picture'])
    assert picture.shape[0] > 500 and np.ptp(picture) == 255


@pytest.fixture(scope='module')
def crossformer(tmp_path_factory):
    """A config of a tiny CrossFormer segmentor."""
    path = tmp_path_factory.mktemp('config') / 'crossformer.py'
    path.write_text(f"""
_base_ = '{ROOT}/configs/crossformer/crossformer-tiny_fpn_1xb2-6500_camvid-192x160.py'
model = dict(
    backbone=dict(arch=dict(_delete_=True, embed_dims=32, depths=(1, 2, 2, 2), num_heads=(1, 2, 4, 8), group_size=4,
                            interval=(2, 2, 2, 1), with_cooling=False)),
    neck=dict(in_channels=[32, 64, 128, 256]))
""")
    return path


def test_attention_is_drawn_for_any_image_and_checkpoint(run_tool, run_apart, crossformer, miniature, tmp_path):
    from mmengine.config import Config
    from mmengine.registry import MODELS
    image = next((miniature / 'images' / 'training').iterdir())
    model = MODELS.build(dict(Config.fromfile(crossformer).model, _scope_='mmseg'))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'trained.pth')
    for run, arguments in ((run_apart, ['--config', crossformer, '--checkpoint', 'trained.pth', '--point', 0, 1]),
                           (run_tool, ['--backbone', 'smt-tiny'])):
        done = run(TOOLS / 'visualize_attention.py', image, '--out', 'attention.png', *arguments)
        assert done.returncode == 0, done.stderr
        picture = cv2.imread(str(tmp_path / 'attention.png'))
        assert picture.shape[1] > 1000 and np.ptp(picture) == 255
        (tmp_path / 'attention.png').unlink()


def test_attention_without_valid_input_is_explained(run_tool, miniature, trained):
    image = next((miniature / 'images' / 'training').iterdir())
    tool = TOOLS / 'visualize_attention.py'
    assert_refused(run_tool(tool, 'nothing.jpg'), 'nothing.jpg')
    assert_refused(run_tool(tool, image, '--config', CONFIG), 'TopFormer')
    assert_refused(run_tool(tool, image, '--backbone', 'crossformer-tiny', '--checkpoint', trained / 'iter_4.pth'),
                   '--config')


def test_make_miniature(run_tool, run_apart, tmp_path):
    args = (TOOLS / 'make_miniature.py', 'set', '--num-training', 2, '--num-validation', 1)
    done = run_apart(*args)
    assert done.returncode == 0 and 'training: 100%' in done.stderr
    assert len(list((tmp_path / 'set').rglob('*.jpg'))) == 3
    assert_refused(run_tool(*args), 'set', 'exists')


def test_a_missing_config_is_explained(run_tool):
    assert_refused(run_tool(TOOLS / 'train.py', CONFIG.with_name(CONFIG.name.replace('tiny', 'tinny'))),
                   'tinny', 'did you mean', CONFIG.name)


def test_a_broken_config_is_explained(run_tool, tmp_path):
    (tmp_path / 'broken.py').write_text("_base_ = './not_there.py'\n")
    assert_refused(run_tool(TOOLS / 'train.py', 'broken.py'), 'broken.py', 'not_there.py')


@pytest.mark.parametrize('tool', ['train.py', 'test.py'])
def test_missing_data_is_explained(run_tool, trained, tool):
    checkpoint = [trained / 'iter_4.pth'] if tool == 'test.py' else []
    assert_refused(run_tool(TOOLS / tool, CONFIG, *checkpoint, '--cfg-options', 'data_root=nowhere'),
                   'nowhere', '--cfg-options data_root=')


def test_checkpoints_that_do_not_fit_are_explained(run_tool, trained, miniature, tmp_path):
    assert_refused(run_tool(TOOLS / 'test.py', CONFIG, 'nothing.pth'), 'nothing.pth')
    small = CONFIG.parent / 'topformer-small_simple-head_8xb2-160k_ade20k-512x512.py'
    assert_refused(run_tool(TOOLS / 'test.py', small, trained / 'iter_4.pth', *options(miniature)),
                   'iter_4.pth', 'does not fit', 'size mismatch')
    torch.save({'tpm.stem.0.c.weight': torch.zeros(16, 3, 3, 3)}, tmp_path / 'part.pth')
    assert_refused(run_tool(TOOLS / 'test.py', CONFIG, 'part.pth', *options(miniature)), 'part.pth', 'missing')
    assert_refused(run_tool(TOOLS / 'train.py', CONFIG, '--resume', 'nothing.pth', *options(miniature)), 'nothing.pth')
    groups = options(miniature, **{'optim_wrapper.constructor': 'DefaultOptimWrapperConstructor'})
    assert_refused(run_tool(TOOLS / 'train.py', CONFIG, '--resume', trained / 'iter_2.pth', *groups), 'iter_2.pth', 'groups',
                   'optim_wrapper.constructor')


@pytest.mark.skipif(torch.cuda.is_available(), reason='tests the message without a GPU')
def test_mixed_precision_without_a_gpu_is_explained(run_tool, miniature):
    assert_refused(run_tool(TOOLS / 'train.py', CONFIG, '--amp', *options(miniature)), '--amp', 'GPU')


def test_a_report_without_a_training_is_explained(run_tool, trained, tmp_path):
    assert_refused(run_tool(TOOLS / 'report.py', tmp_path), str(tmp_path), 'tools/train.py')
    assert_refused(run_tool(TOOLS / 'report.py', trained, '--data-root', 'nowhere'), 'nowhere')


def test_confusion_has_the_reported_score(run_tool, trained, miniature, tmp_path):
    checkpoint = trained / 'iter_4.pth'
    command = [TOOLS / 'confusion.py', CONFIG, checkpoint, '--out', 'out', '--worst', 2, *options(miniature)]
    done = run_tool(*command)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / 'out/confusion.json').read_text())
    *_, last = (record['mIoU'] for record in scalars(trained) if 'mIoU' in record)
    assert round(100 * figures['mIoU'], 2) == round(last, 2) and len(figures['images']) == 3
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {'confusion.json', 'confusion.png', 'worst.png'}
    assert figures['subject']['config'] == CONFIG.name and figures['environment']['torch']
    assert_refused(run_tool(*command), '--overwrite')
    (tmp_path / 'out/images.jsonl').write_text('garbage\n')  # of an interrupted call
    assert_refused(run_tool(*command), 'images.jsonl is damaged', '--overwrite')
    (tmp_path / 'out/images.jsonl').write_text(json.dumps(figures['subject']) + '\n')
    assert run_tool(*command).returncode == 0


def test_confusion_without_images_or_labels_is_explained(run_tool, trained, miniature, tmp_path):
    command = [TOOLS / 'confusion.py', CONFIG, trained / 'iter_4.pth', '--out', 'out', *options('data')]
    shutil.copytree(miniature, tmp_path / 'data')
    for path in (tmp_path / 'data/annotations/validation').iterdir():
        cv2.imwrite(str(path), 0 * cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    assert_refused(run_tool(*command), 'no pixel of the 3 images', 'labelled')
    for path in (tmp_path / 'data/images/validation').iterdir():
        path.unlink()
    assert_refused(run_tool(*command), 'test_dataloader', 'images/validation holds no file')


def test_robustness_is_scored_and_resumed(run_tool, trained, miniature, tmp_path):
    command = [TOOLS / 'robustness.py', CONFIG, trained / 'iter_4.pth', '--out', 'out', '--severities', 1, 5,
               *options(miniature), '--corruptions', 'fog']
    done = run_tool(*command)
    assert done.returncode == 0, done.stderr
    before = json.loads((tmp_path / 'out/robustness.json').read_text())
    *_, last = (record['mIoU'] for record in scalars(trained) if 'mIoU' in record)
    assert before['scores']['clean']['0']['mIoU'] == last == before['summary']['clean']
    assert list(before['scores']['fog']) == ['1', '5'] and (tmp_path / 'out/robustness.png').is_file()
    done = run_tool(*command, 'contrast')
    assert done.returncode == 0, done.stderr
    assert ' 6/6 ' in done.stderr  # the images of the new corruption alone
    after = json.loads((tmp_path / 'out/robustness.json').read_text())
    assert after['scores']['fog'] == before['scores']['fog'] and set(after['scores']) == {'clean', 'fog', 'contrast'}
    assert_refused(run_tool(*command, '--seed', 1), 'another subject (seed)', '--overwrite')
    for content in ('{"sub', '[]', '{"subject": null, "scores": {}}'):
        (tmp_path / 'out/robustness.json').write_text(content)
        assert_refused(run_tool(*command), 'robustness.json is damaged', '--overwrite')


def test_robustness_knows_what_has_changed(run_tool, trained, miniature, tmp_path):
    """An edited config, weights or images are other subjects; another working folder is none."""
    shutil.copytree(miniature, tmp_path / 'data')
    (tmp_path / 'sub').mkdir()
    config = tmp_path / 'my.py'
    config.write_text(f"_base_ = '{CONFIG}'")
    checkpoint = shutil.copy(trained / 'iter_4.pth', tmp_path)

    def run(folder, data):
        return run_tool(TOOLS / 'robustness.py', f'{folder}my.py', checkpoint, '--out', f'{folder}out', '--severities', 1,
                        '--corruptions', 'contrast', *options(data))

    assert run('', 'data').returncode == 0
    assert run('sub/../', 'sub/../data').returncode == 0
    # The data preprocessor may stand beside the model, as in mmpretrain's configs; and workers change nothing.
    config.write_text(f"_base_ = '{CONFIG}'\ndata_preprocessor = _base_.model.pop('data_preprocessor')\n"
                      'test_dataloader = dict(pin_memory=True)')
    assert run('', 'data').returncode == 0
    config.write_text(f"_base_ = '{CONFIG}'\nmodel = dict(decode_head=dict(align_corners=True))")
    assert_refused(run('', 'data'), 'another subject (settings)')
    config.write_text(f"_base_ = '{CONFIG}'")
    os.utime(checkpoint, (5, 5))
    assert_refused(run('', 'data'), 'another subject (files)')


def test_settings_that_changed_are_told(run_tool, trained, miniature, tmp_path):
    """A training that is over is not passed off as one with other settings; what goes on says what has changed."""
    shutil.copytree(trained, tmp_path / 'run')
    command = [TOOLS / 'train.py', CONFIG, '--work-dir', 'run', '--resume', *options(miniature)]
    assert run_tool(*command, 'train_cfg.max_iters=4').returncode == 0
    shutil.copytree(tmp_path / 'run', tmp_path / 'cut')
    (tmp_path / 'cut/last_checkpoint').unlink()  # it names the one that was copied
    os.truncate(tmp_path / 'cut' / CONFIG.name, 900)
    done = run_tool(*command, 'optim_wrapper.optimizer.lr=0.5', '--work-dir', 'cut')
    assert done.returncode == 0 and 'goes on from' in done.stdout + done.stderr
    assert_refused(run_tool(*command, 'train_cfg.max_iters=4', 'optim_wrapper.optimizer.lr=0.5'), 'iter_4.pth is finished',
                   'optim_wrapper.optimizer.lr (0.004 before, 0.5 now)', '--work-dir')
    done = run_tool(*command, 'train_cfg.max_iters=5', 'optim_wrapper.optimizer.lr=0.5')
    assert done.returncode == 0 and 'optimizer.lr (0.004 before, 0.5 now)' in done.stdout + done.stderr
