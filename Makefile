# STACK=onedl (the maintained mm packages) or openmmlab (their last releases of OpenMMLab).
STACK ?= onedl
ifeq ($(filter onedl openmmlab,$(STACK)),)
$(error STACK=$(STACK) is neither onedl nor openmmlab)
endif
ENV := .venv$(if $(filter openmmlab,$(STACK)),-openmmlab)
PY := $(ENV)/bin/python
MINIATURE_CONFIG := configs/topformer/topformer-tiny_simple-head_1xb16-850_miniature-96x96.py
MINIATURE_DETECTION_CONFIG := configs/topformer/topformer-tiny_fcos_1xb8-40e_miniature-coco.py

# Segmentation and restoration need no operators of mmcv, except that OpenMMLab's last mmsegmentation imports them all.
FULL := $(ENV)/ready-full
READY := $(if $(filter openmmlab,$(STACK)),$(FULL),$(ENV)/ready)

.PHONY: setup setup-full demo demo-det test coverage test-slow test-faults test-install lint

setup: $(READY)

setup-full: $(FULL)

$(ENV)/ready: requirements/set_up.sh requirements/base.txt requirements/$(STACK).txt
	requirements/set_up.sh $(ENV) $(STACK) light

$(FULL): requirements/set_up.sh requirements/build.txt requirements/$(STACK)-full.txt | $(ENV)/ready
	requirements/set_up.sh $(ENV) $(STACK) full

data/miniature: | $(READY)
	$(PY) tools/make_miniature.py $@

# Train on the miniature data set, evaluate, and draw what was learned.
demo: $(READY) data/miniature
	rm -rf work_dirs/demo
	$(PY) tools/train.py $(MINIATURE_CONFIG) --work-dir work_dirs/demo
	$(PY) tools/report.py work_dirs/demo

data/miniature-coco: | $(FULL)
	$(PY) tools/make_miniature.py $@ --layout coco

# The same for detection.
demo-det: $(FULL) data/miniature-coco
	rm -rf work_dirs/demo-det
	$(PY) tools/train.py $(MINIATURE_DETECTION_CONFIG) --work-dir work_dirs/demo-det
	$(PY) tools/report.py work_dirs/demo-det

# One thread per worker: OpenMP's threads wait actively, so several workers would block each other on all cores.
# Neighboring tests share fixtures, so each worker begins with a part of its own, and helps the others at the end.
PYTEST := OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal
SUITE := -m "not install and not slow and not fault"

test: $(FULL)
	$(PYTEST) $(SUITE)

# The same, with the lines that no test runs, in twice the time. The tools' own processes count.
coverage: $(FULL)
	$(PYTEST) $(SUITE) --cov --cov-report=term-missing:skip-covered

# Compiles every backbone to machine code, and evaluates every published segmentor and detector.
test-slow: $(FULL)
	$(PYTEST) -m slow

# Kills trainings at many moments, fills their disks, and compares what becomes of them.
test-faults: $(FULL)
	$(PYTEST) -m fault

# The set-up itself, from a copy of the tree, for both lines: builds mmcv if no wheel is cached.
test-install: $(FULL)
	$(PY) -m pytest -m install

lint: $(FULL)
	$(ENV)/bin/ruff check .
	$(ENV)/bin/mypy
