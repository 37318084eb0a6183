"""Comparing models by parameters, multiply-adds, latency and memory: ``tools/benchmark.py``.

``subjects`` builds what is measured, ``macs`` counts, ``measuring`` measures one model, ``worker`` does so in a process of
its own, ``runs`` lets the models take turns, and ``results``, ``comparison`` and ``pictures`` present what was measured.
"""
