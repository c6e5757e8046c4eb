#!/bin/sh
# Starts PostgreSQL; makes the database first when the data folder is empty.
#
#   PGDATA                  data folder (/var/lib/postgresql/data)
#   POSTGRES_USER           the superuser (postgres)
#   POSTGRES_PASSWORD_FILE  file with the superuser's password; needed for the first start only
#   POSTGRES_DB             database to create (named like the user)
#
# Arguments are options of postgres, after an optional word "postgres". Runs as root, changing to user 999, or as 999.
set -eu

PGDATA=${PGDATA:-/var/lib/postgresql/data}
user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
new=$PGDATA/.initialising

fail() {
    echo "postgres: $*" >&2
    exit 1
}

# Everything in the data folder but what a fresh file system brings along.
content() {
    find "$PGDATA" -mindepth 1 -maxdepth 1 ! -name lost+found
}

# The new database grows in a folder of its own and moves up with its version file last,
# so that a start that was killed half-way is told from a finished one.
initialise() {
    if [ -d "$new" ]; then
        content | while IFS= read -r path; do rm -rf "$path"; done
    elif [ -n "$(content)" ]; then
        fail "$PGDATA is not empty and holds no database"
    fi
    [ -n "${POSTGRES_PASSWORD_FILE:-}" ] || fail "POSTGRES_PASSWORD_FILE is not set, and the database is new"
    [ -s "$POSTGRES_PASSWORD_FILE" ] || fail "$POSTGRES_PASSWORD_FILE is missing or empty"
    mkdir -m 0700 "$new"
    initdb --pgdata="$new" --username="$user" --pwfile="$POSTGRES_PASSWORD_FILE" \
        --auth-host=scram-sha-256 --auth-local=trust --encoding=UTF8 --locale=C.UTF-8
    echo 'host all all all scram-sha-256' >>"$new/pg_hba.conf"
    if [ "$database" != postgres ]; then
        name=$(printf %s "$database" | sed 's/"/""/g')
        printf 'CREATE DATABASE "%s";\n' "$name" | postgres --single -D "$new" postgres >/dev/null
    fi
    sync
    find "$new" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv -t "$PGDATA" {} +
    mv "$new/PG_VERSION" "$PGDATA/PG_VERSION"
    rmdir "$new"
}

if [ "${1:-}" = postgres ]; then
    shift
fi
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chown postgres:postgres "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
mkdir -p "$PGDATA"
[ -s "$PGDATA/PG_VERSION" ] || initialise
# PostgreSQL refuses a folder that others may look into; on some volumes the owner is another and the mode stays.
chmod 0700 "$PGDATA" 2>/dev/null || true
exec postgres -D "$PGDATA" -c listen_addresses='*' "$@"
