# The whole service on a CPU. Written for `docker build -t glore .`; not tested yet.
#   docker run --rm -p 8000:8000 -v glore-cache:/cache glore
FROM python:3.11-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 libnuma1 make util-linux \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home glore && mkdir /cache /glore && chown glore /cache /glore
USER glore
WORKDIR /glore
COPY --chown=glore . .

# Everything but the models, which the first start puts into the volume.
RUN make environment

ENV GLORE_CACHE=/cache
VOLUME /cache
EXPOSE 8000
ENTRYPOINT [".venv/bin/glore", "up", "--host", "0.0.0.0"]
