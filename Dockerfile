# Three images; docs/guides/deploy.md says what was checked without a Docker daemon.
#   docker build --target gateway -t glore-gateway .   the gateway: no torch, no models
#   docker build --target demo    -t glore-demo .      engines, models and gateway, on a CPU
#   docker build --target engines -t glore-engines .   vLLM for a GPU, with the models
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /build
COPY requirements/build.txt requirements/gateway.txt requirements/
RUN python -m pip install --no-cache-dir --no-deps --require-hashes --requirement requirements/build.txt \
    && python -m venv /opt/glore \
    && /opt/glore/bin/python -m pip install --no-cache-dir --no-deps --require-hashes --requirement requirements/gateway.txt
COPY clients/python clients/python
COPY service service
RUN python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir wheels ./clients/python ./service \
    && /opt/glore/bin/python -m pip install --no-cache-dir --no-deps wheels/*.whl \
    && /opt/glore/bin/python -m pip uninstall --yes --quiet pip setuptools

FROM python:3.11.14-slim-bookworm AS gateway
RUN install -d -o 10001 -g 10001 /data
COPY --from=build /opt/glore /opt/glore
ENV PATH=/opt/glore/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GLORE_HOST=0.0.0.0 \
    GLORE_STORE=sqlite:////data/batches.sqlite3
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/livez', timeout=3)"]
ENTRYPOINT ["glore"]
CMD ["serve"]

FROM python:3.11.14-slim-bookworm AS demo
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 libnuma1 make util-linux \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o 10001 -g 10001 /glore /cache
USER 10001:10001
WORKDIR /glore
ENV HOME=/glore \
    GLORE_CACHE=/cache \
    GLORE_STORE=off
COPY --chown=10001:10001 . .
# The models are part of the image: no download at the start.
RUN make environment \
    && .venv/bin/python -m glore_models.serving.build /cache models/src/glore_models/bundle
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=180s \
    CMD [".venv/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=3)"]
ENTRYPOINT [".venv/bin/glore", "up", "--host", "0.0.0.0"]

FROM vllm/vllm-openai:v0.32.0 AS engines
COPY --from=demo /cache/student /models/student
COPY --from=demo /cache/scorer /models/scorer
COPY models/src/glore_models/bundle /bundle
ENV HOME=/tmp \
    HF_HUB_OFFLINE=1
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s \
    CMD ["curl", "-fsS", "http://127.0.0.1:8000/health"]
