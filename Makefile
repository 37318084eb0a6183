# STACK=onedl (the maintained mm packages) or openmmlab (their last releases of OpenMMLab).
STACK ?= onedl
ifeq ($(filter onedl openmmlab,$(STACK)),)
$(error STACK=$(STACK) is neither onedl nor openmmlab)
endif
ENV := .venv$(if $(filter openmmlab,$(STACK)),-openmmlab)
PY := $(ENV)/bin/python
MINIATURE_CONFIG := configs/topformer/topformer-tiny_simple-head_1xb16-1000_miniature-128x128.py
MINIATURE_DETECTION_CONFIG := configs/topformer/topformer-tiny_fcos_1xb8-40e_miniature-coco.py

.PHONY: setup demo demo-det test test-slow test-install lint

setup: $(ENV)/ready

$(ENV)/ready: requirements/set_up.sh requirements/build.txt requirements/$(STACK).txt
	requirements/set_up.sh $(ENV) $(STACK)

data/miniature: | $(ENV)/ready
	$(PY) tools/make_miniature.py $@

# Train on the miniature data set, evaluate, and draw what was learned.
demo: $(ENV)/ready data/miniature
	rm -rf work_dirs/demo
	$(PY) tools/train.py $(MINIATURE_CONFIG) --work-dir work_dirs/demo
	$(PY) tools/report.py work_dirs/demo

data/miniature-coco: | $(ENV)/ready
	$(PY) tools/make_miniature.py $@ --layout coco

# The same for detection.
demo-det: $(ENV)/ready data/miniature-coco
	rm -rf work_dirs/demo-det
	$(PY) tools/train.py $(MINIATURE_DETECTION_CONFIG) --work-dir work_dirs/demo-det
	$(PY) tools/report.py work_dirs/demo-det

# One thread for each worker: OpenMP's threads wait for each other actively, and take all cores each.
# Neighbouring tests share fixtures, so each worker begins with a part of its own, and helps the others at the end.
PYTEST := OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal

test: $(ENV)/ready
	$(PYTEST) -m "not install and not slow" --cov --cov-report=term-missing:skip-covered

# Compiles every backbone to machine code, and evaluates every published segmentor and detector.
test-slow: $(ENV)/ready
	$(PYTEST) -m slow

# Set-up itself, from a copy of the tree, with both lines: builds mmcv where no wheel is kept.
test-install: $(ENV)/ready
	$(PY) -m pytest -m install

lint: $(ENV)/ready
	$(ENV)/bin/ruff check .
	$(ENV)/bin/mypy
