# The part of mariadb.sh that is different for a genuine MySQL server: read by it, not run by itself.
#
# FABRIC_TEST_MYSQL_ROOT is a folder with the files of another system that has MySQL, as tests/check-mysql makes. The server
# runs from there with that system's loader and libraries, so it needs neither chroot nor root. Its own defaults (a binary
# log, above all) are kept, but for sizes, and for what looks outside its folder.
mysql_root=$FABRIC_TEST_MYSQL_ROOT
mysql_libraries=$(echo "$mysql_root"/usr/lib/*-linux-gnu)

mysqld() {
    how=$1
    shift
    "$how" "$mysql_root"/lib*/ld-linux-*.so.* --library-path "$mysql_libraries:$mysql_root/usr/lib/mysql/private" \
        "$mysql_root/usr/sbin/mysqld" --no-defaults --basedir="$mysql_root/usr" \
        --lc-messages-dir="$mysql_root/usr/share/mysql" --plugin-dir="$mysql_root/usr/lib/mysql/plugin" \
        --user="$(id -un)" --datadir="$folder/data" --tmpdir="$folder" $mysqld_options "$@"
}

install_server() {
    [ -x "$mysql_root/usr/sbin/mysqld" ] || fail 3 "there is no MySQL server in $mysql_root"
    need mariadb # its client
    mysqld_options=--initialize-insecure
    mysqld env
}

become_server() {
    mysqld_options="--socket=$folder/s --bind-address=127.0.0.1 --port=$(cat "$folder/port") --pid-file=$folder/mysqld.pid
        --mysqlx=OFF --secure-file-priv= --innodb-buffer-pool-size=256M --innodb-redo-log-capacity=512M
        --performance-schema=OFF"
    mysqld exec "$@"
}
