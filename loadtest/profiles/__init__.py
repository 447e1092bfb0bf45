"""Load profiles to run before production: `python -m loadtest.profiles steady`.

docs/guides/load.md describes the profiles. The parts: `definitions` (profiles and their limits),
`schedule` (when requests are due), `locustfile` (the load generator, a process of its own), `stack`
(the service under load), `running` (one run), `measures`, `report` and `plots`.
"""
