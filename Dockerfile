# The host in a container. The state folder is a volume: `gatewright init --dir /var/lib/gatewright` fills it first.
#
# The operator's listener binds to loopback only, so `--network host` (or a proxy in the same network namespace) leads to it;
# the port is declared for those. bubblewrap needs user namespaces: where the container may make none, agents run without the
# sandbox, and the host says so as it starts, as does each answer of `gatewright health`. A container that ends takes its runs with it,
# also where it is only restarted: they are told as lost and launched again.
FROM rust:1.95-trixie AS build
WORKDIR /src
COPY rust-toolchain.toml ./
RUN rustup toolchain install
COPY . .
RUN cargo build --release --locked && cp target/release/gatewright /usr/local/bin/gatewright

FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap ca-certificates git tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --user-group --create-home --home-dir /home/gatewright gatewright \
    && install --directory --owner gatewright --group gatewright --mode 0700 /var/lib/gatewright
COPY --from=build /usr/local/bin/gatewright /usr/local/bin/gatewright
USER gatewright
VOLUME /var/lib/gatewright
EXPOSE 8500
STOPSIGNAL SIGTERM
# Fails when the host is down, does not answer, answers with anything but "well", or another program has its port.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["gatewright", "health", "--dir", "/var/lib/gatewright"]
# The first process of a container inherits every orphan in it. The host waits for its own children alone, so what bubblewrap, git and
# `docker exec` leave behind would stay as zombies until no process number is left. tini collects them and hands each signal on.
ENTRYPOINT ["tini", "-s", "--", "gatewright"]
CMD ["serve", "--dir", "/var/lib/gatewright"]
