# The host as a container: built in one stage, run without root in the other.
FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --release --locked && cp target/release/gatewright /gatewright

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends git bubblewrap ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 gatewright \
 && install -d -o gatewright /var/lib/gatewright
COPY --from=build /gatewright /usr/local/bin/gatewright
USER gatewright
VOLUME /var/lib/gatewright
EXPOSE 8500
ENTRYPOINT ["gatewright", "--dir", "/var/lib/gatewright"]
CMD ["serve"]
