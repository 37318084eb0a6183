"""The miniature data set: layout, determinism, difficulty, and nothing half written."""
import cv2
import numpy as np
import pytest

from mmvisattn.datasets import miniature as writer


def files(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob('*')) if path.is_file()}


def test_layout_is_ade20ks(miniature):
    assert sorted(p.name for p in miniature.iterdir()) == ['annotations', 'images']
    for split, count, stem in (('training', 6, 'ADE_train'), ('validation', 3, 'ADE_val')):
        images = sorted((miniature / 'images' / split).iterdir())
        labels = sorted((miniature / 'annotations' / split).iterdir())
        assert [p.name for p in images] == [f'{stem}_{i:08d}.jpg' for i in range(1, count + 1)]
        assert [p.stem for p in labels] == [p.stem for p in images]
        for image, label in zip(images, labels):
            truth = cv2.imread(str(label), cv2.IMREAD_UNCHANGED)
            assert truth.dtype == np.uint8 and truth.ndim == 2
            assert cv2.imread(str(image)).shape[:2] == truth.shape


def test_layout_is_imagenets(tmp_path):
    root = writer.write_miniature(tmp_path / 'imagenet', 'imagenet', num_training=9, num_validation=8)
    for split, count in (('train', 9), ('val', 8)):
        assert sorted(path.name for path in (root / split).iterdir()) == sorted(writer.SHAPES)
        images = sorted((root / split).glob('*/*.JPEG'))
        assert len(images) == count and len({path.parent.name for path in images}) == 8
        assert all(path.name.startswith(f'{path.parent.name}_') for path in images)
        assert all(min(cv2.imread(str(path)).shape[:2]) >= 112 for path in images)


def test_one_large_shape_per_image():
    for scene, name in zip(writer.scenes('training', 16, 0, one_shape=True), 2 * list(writer.SHAPES)):
        (cls, mask), = scene.instances
        assert writer.CLASSES[cls] == name and mask.mean() > 0.04


def test_the_seed_decides_everything(tmp_path):
    roots = [writer.write_miniature(tmp_path / str(i), 'ade20k', 3, 2, seed) for i, seed in enumerate((5, 5, 6))]
    assert files(roots[0]) == files(roots[1]) != files(roots[2])


def test_scenes_vary_and_hold_every_class():
    drawn = list(writer.scenes('training', 60, 0))
    assert len({scene.image.shape for scene in drawn}) > 30
    present = set().union(*(np.unique(scene.labels) for scene in drawn))
    assert present == set(range(len(writer.CLASSES) + 1)) and len(writer.CLASSES) >= 8
    assert len(writer.PALETTE) == len(writer.CLASSES) == len({tuple(c) for c in writer.PALETTE})
    for scene in drawn:
        for cls, mask in scene.instances:
            assert (scene.labels[mask] == cls + 1).all()


def test_color_does_not_separate_classes():
    """The best class for each coarse colour, learned on half the scenes, is rarely right for shapes of the others."""
    drawn = list(writer.scenes('training', 80, 0))
    votes = np.zeros((8**3, len(writer.CLASSES) + 1))
    scores = []
    for i, scene in enumerate(drawn):
        color = (scene.image // 32).astype(int) @ (64, 8, 1)
        is_shape = scene.labels > 2
        if i < 40:
            np.add.at(votes, (color[is_shape], scene.labels[is_shape]), 1)
        else:
            scores.append((votes.argmax(1)[color] == scene.labels)[is_shape].mean())
    assert np.mean(scores) < 0.3


def test_nothing_of_the_users_is_overwritten(tmp_path):
    (tmp_path / 'mine').mkdir()
    with pytest.raises(FileExistsError, match='mine'):
        writer.write_miniature(tmp_path / 'mine')
    with pytest.raises(ValueError, match='num_validation=0'):
        writer.write_miniature(tmp_path / 'new', 'coco', 1, 0)


def test_an_interrupted_writing_leaves_nothing(tmp_path, monkeypatch):
    drawn = []

    def interrupt(*arguments):
        drawn.append(arguments)
        if len(drawn) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    original = writer.draw_scene
    monkeypatch.setattr(writer, 'draw_scene', interrupt)
    with pytest.raises(KeyboardInterrupt):
        writer.write_miniature(tmp_path / 'half', 'ade20k', 4, 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('name, count', [('MiniatureDataset', 10), ('CamVidDataset', 11)])
def test_mmseg_reads_it(miniature, name, count):
    pytest.importorskip('mmseg')
    from mmengine.registry import DATASETS
    dataset = DATASETS.build(dict(
        type=f'mmvisattn.{name}', data_root=str(miniature),
        data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
        pipeline=[dict(type='mmseg.LoadAnnotations')]))
    assert len(dataset) == 6
    assert len(dataset.metainfo['classes']) == len(dataset.metainfo['palette']) == count
    raw = cv2.imread(dataset.get_data_info(0)['seg_map_path'], cv2.IMREAD_UNCHANGED)
    labels = dataset[0]['gt_seg_map']
    assert (labels[raw == 0] == 255).all() and (labels[raw > 0] == raw[raw > 0] - 1).all()
