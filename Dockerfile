# The image of Ordermill: one binary, what it loads, no shell. Runs as 65532 with a read-only root; what it writes (archive,
# SQLite) lies in /var/lib/ordermill, its working directory.
#
#   docker build -t ordermill .
#   docker run --rm ordermill demo
#   docker run -v ./ordermill.yaml:/etc/ordermill/ordermill.yaml -v ./pipelines:/etc/ordermill/pipelines \
#     -v ./avro:/etc/ordermill/avro ordermill
#
# `make image` builds the last stage and runs it; it takes the build stage's place by a binary of the host's.

FROM rust:1.95.0-slim-bookworm AS build
# Debian removes a version from its mirrors when the next is out: none is named.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        build-essential ca-certificates libssl-dev pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# the system's OpenSSL: Debian mends it
ENV OPENSSL_NO_VENDOR=1
RUN cargo build --release --locked --bin ordermill \
    && scripts/image-root target/release/ordermill /image

FROM scratch AS runtime
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="ordermill" \
      org.opencontainers.image.description="An event bus for orders on Apache Kafka: exactly-once effects, order kept, replay without fear" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /image/root/ /
COPY --from=build --chown=65532:65532 /image/data/ /var/lib/ordermill/
ENV PATH=/usr/bin \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    ORDERMILL_HTTP_LISTEN=0.0.0.0:9400
USER 65532:65532
WORKDIR /var/lib/ordermill
EXPOSE 9400
# Whether it lives. Whether it is ready says `ordermill health --ready`: an outage of Kafka must not end a process.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/usr/bin/ordermill", "health"]
ENTRYPOINT ["/usr/bin/ordermill"]
CMD ["run", "--config", "/etc/ordermill/ordermill.yaml", "/etc/ordermill/pipelines"]
