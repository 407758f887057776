# Stands in for valkey/valkey:…-alpine where no registry is reached: the same user, folder and program.
FROM batchweb-image-test/debian
RUN groupadd --system --gid 1000 valkey && useradd --system --uid 999 --gid 1000 valkey \
    && apt-get update && apt-get install -y --no-install-recommends valkey-server valkey-tools \
    && rm -rf /var/lib/apt/lists/* && install -d -o valkey -g valkey -m 1777 /data
COPY valkey.sh /usr/local/bin/docker-entrypoint.sh
WORKDIR /data
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 6379
CMD ["valkey-server"]
