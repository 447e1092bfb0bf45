"""Load profiles to run before production: `python -m loadtest.profiles steady`.

docs/guides/load.md says what each profile does. The parts: `definitions` (the profiles and their
limits), `schedule` (when requests are due), `stack` (what is asked), `locustfile` (who asks, in a
process of its own), `measures` (what the records say), `report` and `plots`.
"""
