#!/bin/sh
# Root steps down to start the server, which speaks to other containers without a password, too: as in the image that
# this stands in for. Anything else runs as it is.
set -eu
if [ "$1" = valkey-server ]; then
    if [ "$(id -u)" = 0 ]; then
        chown -R valkey .
        exec setpriv --reuid=valkey --regid=valkey --clear-groups "$0" "$@"
    fi
    set -- "$@" --protected-mode no
fi
exec "$@"
