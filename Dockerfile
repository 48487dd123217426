# The hub's pages in a container: what `wardgan serve` is on a machine. See docs/installing.md.
# From a checkout: docker build -t wardgan-hub .

FROM python:3.11-slim AS build
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir -c constraints.txt ".[hub,postgresql,oidc]"

FROM python:3.11-slim
LABEL org.opencontainers.image.title="wardgan hub" \
      org.opencontainers.image.description="Web pages and an API for releases of private generators" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 wardgan \
    && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --shell /usr/sbin/nologin wardgan \
    && install --directory --owner=wardgan --group=wardgan /hub /state /tls
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH \
    HOME=/state \
    PYTHONDONTWRITEBYTECODE=1 \
    WARDGAN_DATABASE=/state/accounts.db \
    WARDGAN_FILES=/state/files \
    WARDGAN_TRUST=/hub/trust.json
# /hub is only read. /state holds accounts and files that are made in the background; nothing else is written to.
VOLUME ["/hub", "/state"]
WORKDIR /state
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 8000), 5).close()"]
ENTRYPOINT ["wardgan"]
# Others reach it over TLS, and with accounts, or not at all; a server in front that does TLS is on the page, too.
CMD ["serve", "--hub", "/hub", "--host", "::", "--certificate", "/tls/certificate.pem", "--key", "/tls/key.pem"]
