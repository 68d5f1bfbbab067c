# The bench in a container; docs/containers.md tells how to build and run it.
#
#   docker build -t ethos-u55-bench .                     the bench (stage `bench`)
#   docker build -t ethos-u55-bench-virtual --target virtual .
#                                                         and the virtual Corstone-300
#   docker build -t ethos-u55-bench-fvp --target fvp --build-arg ... .
#                                                         and Arm's FVP, from your archive
#
# Needs BuildKit (Docker 20.10 or later, buildah, podman). It names no package index: pip takes it
# from the build arguments PIP_INDEX_URL and PIP_EXTRA_INDEX_URL or from the secret `pip_conf`.

# Any Debian 12 or later, or Ubuntu 22.04 or later; a mirror's name may stand in front.
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BASE_IMAGE} AS python
# Which Python it is follows from the base image; what runs on it is pinned in requirements.lock.
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      ca-certificates libstdc++6 python3 tini \
 && rm -rf /var/lib/apt/lists/*
ENV LANG=C.UTF-8 \
    PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# ----------------------------------------------------------------------------------------------
# The dependencies, in a stage of their own: build arguments and pip's configuration end with it.

FROM python AS dependencies
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && python3 -m venv /opt/venv
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
COPY deploy/docker/pip_install.sh /usr/local/bin/pip_install
COPY requirements.lock /tmp/
RUN --mount=type=secret,id=pip_conf,target=/run/secrets/pip_conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    sh /usr/local/bin/pip_install --requirement /tmp/requirements.lock

# ----------------------------------------------------------------------------------------------

FROM python AS bench
LABEL org.opencontainers.image.title="Ethos-U55 regression bench" \
      org.opencontainers.image.description="Judges neural networks on the Arm Ethos-U55 NPU" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 1000 --user-group --create-home bench \
 # Any user may be chosen with --user, to own the results on the host.
 && install --directory --mode 1777 /cache /results /work
COPY --from=dependencies /opt/venv /opt/venv
RUN --mount=type=bind,target=/context \
    pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation \
      /context
# The built-in study, which runs where the user brings no bench.toml.
COPY bench.toml LICENSE /opt/bench/
COPY baselines /opt/bench/baselines
COPY deploy/docker /opt/bench/deploy/docker
RUN chmod -R a+rX /opt/bench \
 && chmod +x /opt/bench/deploy/docker/entrypoint.sh
# Where the user's own directory is mounted.
WORKDIR /work
ENV BENCH_CACHE=/cache \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1
VOLUME ["/cache", "/results"]
USER 1000:1000
# Ctrl-C and `docker stop` alike: pytest ends in good order and keeps what was measured.
STOPSIGNAL SIGINT
ENTRYPOINT ["/usr/bin/tini", "--", "/opt/bench/deploy/docker/entrypoint.sh"]

# ----------------------------------------------------------------------------------------------
# Arm's FVP. Its licence permits use, not redistribution: never publish an image of this stage.

FROM python AS fvp-installation
ARG FVP_ARCHIVE
ARG FVP_SHA256
ARG ARM_FVP_INSTALL_I_AGREE_TO_THE_CONTAINED_EULA
RUN --mount=type=bind,target=/context \
    python3 /context/deploy/docker/install_fvp.py --directory /opt/fvp

FROM bench AS fvp
USER 0:0
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends libatomic1 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=fvp-installation /opt/fvp /opt/fvp
ENV PATH=/opt/fvp/bin:${PATH}
RUN python3 /opt/bench/deploy/docker/install_fvp.py --directory /opt/fvp --check
USER 1000:1000

# ----------------------------------------------------------------------------------------------
# The project's own virtual Corstone-300 under the FVP's name, for rehearsals without Arm's FVP.

FROM dependencies AS virtual-dependencies
COPY requirements-dev.lock /tmp/
RUN --mount=type=secret,id=pip_conf,target=/run/secrets/pip_conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    sed -n '/^unicorn==/,/[^\\]$/p' /tmp/requirements-dev.lock > /tmp/unicorn.lock \
 && sh /usr/local/bin/pip_install --requirement /tmp/unicorn.lock --no-deps --target /opt/virtual

FROM bench AS virtual
USER 0:0
COPY --from=virtual-dependencies /opt/virtual /opt/virtual
COPY --chmod=755 deploy/docker/virtual_fvp.sh /opt/virtual/bin/FVP_Corstone_SSE-300_Ethos-U55
ENV PATH=/opt/virtual/bin:${PATH}
USER 1000:1000

# What is built when no stage is named.
FROM bench
