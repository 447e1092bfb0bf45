"""Grafana dashboards and Prometheus rules for GLoRe, written in Python.

`python -m dashboards` writes `dashboards/grafana/*.json` and `dashboards/rules/*.yml`, which an
operator imports. docs/guides/dashboards.md describes them.
"""
