#!/bin/sh
# A private MariaDB server for tests and benchmarks, with a data folder of its own and full durability. It uses no system service.
#
#   mariadb.sh start DATADIR   starts one in the background; prints "URL PID" when it answers
#   mariadb.sh run DATADIR [OPTION...]
#                              becomes the server (same process id), for callers that supervise it themselves
#   mariadb.sh stop DATADIR    stops it; the data folder stays
#   mariadb.sh sql DATADIR STATEMENT...
#
# DATADIR must lie on a disk file system (not tmpfs, which knows no sync). It holds `port`, which `run` keeps from one run to
# the next, and `server.pid` while the server runs. The socket is DATADIR/s, so keep DATADIR's path below 100 bytes. The
# user is root, without a password. Exit status 3: no server is installed. Temporary tables are in DATADIR too: a
# server that starts removes those of all others from a folder that it shares with them. With FABRIC_TEST_MYSQL_ROOT it is
# a genuine MySQL server: mysql.sh.
set -eu

PATH=$PATH:/usr/sbin:/usr/local/sbin

fail() {
    echo "mariadb.sh: $2" >&2
    exit "$1"
}

[ $# -ge 2 ] || fail 64 "usage: mariadb.sh start|run|stop|sql DATADIR [STATEMENT...]"
action=$1
folder=$2
shift 2

# A port that nobody listens on at present. Servers take no port 0, so two at once could choose the same: start
# tries again with another.
free_port() {
    port=$(($(od -An -N2 -tu2 /dev/urandom) % 20000 + 12000))
    while grep -qi ":$(printf %04x "$port") [0-9A-F:]* 0A" /proc/net/tcp; do
        port=$((port + 1))
    done
    echo "$port"
}

need() {
    for program in "$@"; do
        command -v "$program" >/dev/null || fail 3 "$program is not installed"
    done
}

install_server() {
    need mariadbd mariadb-install-db mariadb
    mariadb-install-db --no-defaults --user="$(id -un)" --datadir="$folder/data" --skip-test-db \
        --auth-root-authentication-method=normal --innodb-log-file-size=256M --tmpdir="$folder"
}

become_server() {
    exec mariadbd --no-defaults --user="$(id -un)" --datadir="$folder/data" --socket="$folder/s" \
        --bind-address=127.0.0.1 --port="$(cat "$folder/port")" --pid-file="$folder/mariadbd.pid" \
        --innodb-flush-log-at-trx-commit=1 --sync-binlog=1 --skip-log-bin --innodb-log-file-size=256M \
        --innodb-buffer-pool-size=256M --skip-name-resolve --performance-schema=OFF --loose-innodb-doublewrite=ON \
        --tmpdir="$folder" "$@"
}

if [ -n "${FABRIC_TEST_MYSQL_ROOT-}" ]; then
    . "$(dirname "$0")/mysql.sh"
fi

prepare() {
    mkdir -p "$folder"
    if [ ! -f "$folder/installed" ]; then
        rm -rf "$folder/data"
        install_server >"$folder/install.log" 2>&1 || {
            status=$?
            head -n 5 "$folder/install.log" >&2
            fail "$status" "cannot prepare $folder; see $folder/install.log"
        }
        : >"$folder/installed"
    fi
    [ -f "$folder/port" ] || free_port >"$folder/port"
}

run() {
    become_server "$@" >"$folder/server.log" 2>&1
}

answers() {
    mariadb --no-defaults --user=root --socket="$folder/s" --batch --execute="DO 1" 2>/dev/null
}

running() {
    [ -f "$folder/server.pid" ] && kill -0 "$(cat "$folder/server.pid")" 2>/dev/null
}

start() {
    running && fail 1 "a server runs on $folder already"
    for _ in 1 2 3; do
        prepare
        (run) </dev/null &
        pid=$!
        echo "$pid" >"$folder/server.pid"
        tries=0
        while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 600 ]; do
            if answers; then
                echo "mysql://root@127.0.0.1:$(cat "$folder/port")/mysql?socket=$folder/s $pid"
                return
            fi
            tries=$((tries + 1))
            sleep 0.05
        done
        kill -9 "$pid" 2>/dev/null || true
        rm -f "$folder/port"
    done
    fail 1 "the server does not start; see $folder/server.log"
}

stop() {
    running || return 0
    pid=$(cat "$folder/server.pid")
    kill "$pid"
    tries=0
    while kill -0 "$pid" 2>/dev/null; do
        [ "$tries" -lt 400 ] || kill -9 "$pid" 2>/dev/null || true
        tries=$((tries + 1))
        sleep 0.05
    done
    rm -f "$folder/server.pid" "$folder/port"
}

case $action in
start) start ;;
run)
    prepare
    echo $$ >"$folder/server.pid"
    run "$@"
    ;;
stop) stop ;;
sql) printf '%s;\n' "$@" | mariadb --no-defaults --user=root --socket="$folder/s" --batch --skip-column-names ;;
*) fail 64 "unknown action $action" ;;
esac
