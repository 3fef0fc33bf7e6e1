# SPDX-License-Identifier: MIT
# docker build -t berth .       (podman and buildah: --format docker keeps the HEALTHCHECK)
# docker run --rm -p 4181:4181 -v berth:/var/lib/berth -e OPENAI_API_KEY berth
# Serves API keys (docker exec ... cat /var/lib/berth/keys/host.key). Identities of containers need
# the agent on the host itself: ./run, or the packages of a release.
FROM debian:12-slim AS build
COPY tools/deps /src/tools/deps
RUN /src/tools/deps install build && rm -rf /var/lib/apt/lists/*
COPY . /src
WORKDIR /src
RUN tools/pgo build/release \
 && DESTDIR=/out cmake --install build/release --prefix /usr --strip

FROM debian:12-slim
COPY tools/deps /tmp/deps
RUN /tmp/deps install image && rm -rf /var/lib/apt/lists/* /tmp/deps \
 && groupadd --gid 65532 berth \
 && useradd --uid 65532 --gid 65532 --home-dir /var/lib/berth --no-create-home --shell /usr/sbin/nologin berth \
 && install -d -o berth -g berth -m 0700 /var/lib/berth
COPY --from=build /out/usr/bin/ /usr/bin/
USER 65532
ENV BERTH_DATA=/var/lib/berth
VOLUME /var/lib/berth
EXPOSE 4181
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["berth", "status"]
ENTRYPOINT ["berth"]
CMD ["up", "--no-agent", "--log-stderr", "--listen", "0.0.0.0"]
