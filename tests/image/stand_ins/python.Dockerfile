# Stands in for python:…-slim where no registry is reached: Debian's own Python under the same names.
FROM batchweb-image-test/debian
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv python-is-python3 \
    && rm -rf /var/lib/apt/lists/*
# What this machine believes, so that pip reaches what it reaches from here.
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
CMD ["python3"]
