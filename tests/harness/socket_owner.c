/* Owners of sockets: see socket_owner.h. */
#include "tests/harness/socket_owner.h"

#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The inode of the socket at this address that is connected to the other one; 0: none is found. */
static unsigned long find_inode(const struct sockaddr_in *at, const struct sockaddr_in *to)
{
    char line[256];
    unsigned long found = 0;
    FILE *file = fopen("/proc/net/tcp", "re");
    while (file && found == 0 && fgets(line, sizeof line, file)) {
        unsigned address[2];
        unsigned port[2];
        unsigned long inode;
        int fields = sscanf(line, " %*d: %x:%x %x:%x %*x %*x:%*x %*x:%*x %*x %*u %*d %lu",
                            &address[0], &port[0], &address[1], &port[1], &inode);
        if (fields == 5 && address[0] == at->sin_addr.s_addr && port[0] == ntohs(at->sin_port) &&
            address[1] == to->sin_addr.s_addr && port[1] == ntohs(to->sin_port)) {
            found = inode;
        }
    }
    if (file) {
        fclose(file);
    }
    return found;
}

static bool has_open(pid_t process, unsigned long inode)
{
    char path[512];
    char wanted[64];
    char link[64];
    bool found = false;
    snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
    snprintf(path, sizeof path, "/proc/%ld/fd", (long)process);
    DIR *folder = opendir(path);
    for (const struct dirent *entry; folder && !found && (entry = readdir(folder)) != NULL;) {
        snprintf(path, sizeof path, "/proc/%ld/fd/%s", (long)process, entry->d_name);
        ssize_t size = readlink(path, link, sizeof link - 1);
        link[size > 0 ? size : 0] = '\0';
        found = strcmp(link, wanted) == 0;
    }
    if (folder) {
        closedir(folder);
    }
    return found;
}

bool socket_owner_is(int socket, pid_t process)
{
    struct sockaddr_in near;
    struct sockaddr_in far;
    socklen_t near_size = sizeof near;
    socklen_t far_size = sizeof far;
    if (getsockname(socket, (struct sockaddr *)&near, &near_size) ||
        getpeername(socket, (struct sockaddr *)&far, &far_size)) {
        return false;
    }
    unsigned long inode = find_inode(&far, &near);
    return inode != 0 && has_open(process, inode);
}
