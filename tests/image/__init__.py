"""The image and the compose stack on a real container engine: `python -m tests.image`, or `make image-test`."""
