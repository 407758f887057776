FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt

FROM python:3.13-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PRODUCTION=1 DATA_DIR=/data TMPDIR=/data STATIC_ROOT=/app/staticfiles
RUN useradd --system --uid 10001 --home-dir /data batchweb && install -d -o batchweb -m 0700 /data
COPY --from=build /venv /venv
WORKDIR /app
COPY . .
# The settings want a secret and a host also here; these are gone when the step ends.
RUN SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(50))')" ALLOWED_HOSTS=localhost DATA_DIR=/tmp/build \
    python manage.py collectstatic --noinput && rm -rf /tmp/build
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-m", "batchweb.healthcheck"]
# A small process that starts the web server, and another one in the place of one that gives no more sign of life.
CMD ["python", "-m", "batchweb.web", "--host", "0.0.0.0", "--port", "8000"]
