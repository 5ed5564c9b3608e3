# The runner itself, without its Docker engine: mount the socket of one. docs/security.md says what that means.
#
#   docker build -t automend .
#   docker run --rm automend --help
#
# BASE is any Debian-like image with Python 3.11 or newer. Where the host has CA certificates of its own, put their
# bundle at .cache/ca-bundle.crt before the build: only the first, throw-away stage sees it. No BuildKit is needed.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1 UV_NO_PROGRESS=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /src
# The pattern in the last name lets that file be absent.
COPY pyproject.toml requirements.lock .cache/ca-bundle.cr[t] ./
# Of the lock only what runs, with its hashes: without the tools of development. uv stays, to fetch the agents'
# programs where there is no npm.
RUN if [ -f ca-bundle.crt ]; then export PIP_CERT=/src/ca-bundle.crt SSL_CERT_FILE=/src/ca-bundle.crt; fi \
    && export VIRTUAL_ENV=/opt/automend && python3 -m venv $VIRTUAL_ENV \
    && $VIRTUAL_ENV/bin/pip install --quiet 'uv>=0.9,<1' \
    && cp requirements.lock runtime.lock \
    && $VIRTUAL_ENV/bin/uv pip compile --quiet --universal --generate-hashes -o runtime.lock pyproject.toml > /dev/null \
    && $VIRTUAL_ENV/bin/uv pip install --quiet --require-hashes -r runtime.lock
COPY LICENSE NOTICE README.md ./
COPY runner runner
COPY sandbox sandbox
COPY prompts prompts
COPY policies policies
RUN if [ -f ca-bundle.crt ]; then export SSL_CERT_FILE=/src/ca-bundle.crt; fi \
    && export VIRTUAL_ENV=/opt/automend \
    && $VIRTUAL_ENV/bin/uv pip install --quiet --no-deps . \
    && $VIRTUAL_ENV/bin/uv pip uninstall --quiet pip \
    && $VIRTUAL_ENV/bin/automend --version

FROM ${BASE}
RUN if ! command -v git > /dev/null; then \
      apt-get update -q && apt-get install -y -q --no-install-recommends git ca-certificates \
      && rm -rf /var/lib/apt/lists/*; \
    fi \
    && groupadd --gid 10001 automend \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/automend --create-home --shell /usr/sbin/nologin automend \
    && chmod 0700 /var/lib/automend
COPY --from=build /opt/automend /opt/automend
# PYTHONSAFEPATH: our packages have common names, and nothing in the working directory may take their place.
ENV PATH=/opt/automend/bin:$PATH PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 AUTOMEND_HOME=/var/lib/automend
USER 10001:10001
WORKDIR /var/lib/automend
ENTRYPOINT ["automend"]
CMD ["--help"]
