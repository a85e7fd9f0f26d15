# One image for the five services, the migrate job and the command line.
ARG BASE=python:3.11-slim
FROM ${BASE} AS build
WORKDIR /src
RUN python -m venv /venv
COPY requirements/build.txt requirements/main.txt requirements/
RUN /venv/bin/pip install --quiet --no-cache-dir --require-hashes -r requirements/build.txt -r requirements/main.txt
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY chassis chassis
COPY identity identity
COPY messaging messaging
COPY services services
COPY cli cli
COPY gen gen
RUN /venv/bin/pip install --quiet --no-cache-dir --no-deps --no-build-isolation .

FROM ${BASE}
RUN groupadd --gid 10001 tocsin && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin tocsin
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /venv
CMD ["tocsin", "--help"]
