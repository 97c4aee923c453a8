/* Preloaded into a process, this logs what a loss of power can't take back: which files were synced,
 * and which got their names when. For each sync and rename below $SYNC_ROOT it writes a line to
 * $SYNC_LOG/log and a copy of the file, as it is at that moment, to $SYNC_LOG/NUMBER. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_below_root(const char *path) {
    const char *root = getenv("SYNC_ROOT");
    return root && getenv("SYNC_LOG") && strncmp(path, root, strlen(root)) == 0;
}

static void copy(const char *from, const char *to) {
    char block[1 << 16];
    ssize_t n;
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    while (in >= 0 && out >= 0 && (n = read(in, block, sizeof block)) > 0)
        if (write(out, block, n) != n) abort();
    if (in >= 0) close(in);
    if (out >= 0) close(out);
}

/* The log is shared by processes: its lock is the file's, and its length gives the number. */
static void note(const char *what, const char *path, const char *target) {
    char name[PATH_MAX], line[3 * PATH_MAX];
    pthread_mutex_lock(&lock);
    snprintf(name, sizeof name, "%s/log", getenv("SYNC_LOG"));
    int log = open(name, O_RDWR | O_CREAT | O_APPEND, 0666);
    if (log >= 0) {
        flock(log, LOCK_EX);
        off_t number = lseek(log, 0, SEEK_END);
        struct stat about;
        memset(&about, 0, sizeof about);
        stat(path, &about);
        snprintf(name, sizeof name, "%s/%ld", getenv("SYNC_LOG"), (long)number);
        if (S_ISREG(about.st_mode)) copy(path, name);
        int length = snprintf(line, sizeof line, "%s\t%ld\t%lu\t%s\t%s\n", what, (long)number,
                              (unsigned long)about.st_ino, path, target ? target : "");
        if (write(log, line, length) != length) abort();
        close(log);
    }
    pthread_mutex_unlock(&lock);
}

static int full_path(int folder, const char *path, char *full) {
    char link[64], base[PATH_MAX];
    if (path[0] == '/') return snprintf(full, PATH_MAX, "%s", path) < PATH_MAX;
    if (folder == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return 0;
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t n = readlink(link, base, sizeof base - 1);
        if (n < 0) return 0;
        base[n] = 0;
    }
    return snprintf(full, PATH_MAX, "%s/%s", base, path) < PATH_MAX;
}

static void note_descriptor(int file) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return;
    path[n] = 0;
    if (is_below_root(path)) note("sync", path, NULL);
}

int fsync(int file) {
    int result = REAL(fsync)(file);
    if (result == 0) note_descriptor(file);
    return result;
}

int fdatasync(int file) {
    int result = REAL(fdatasync)(file);
    if (result == 0) note_descriptor(file);
    return result;
}

int msync(void *address, size_t length, int flags) {
    int result = REAL(msync)(address, length, flags);
    char line[PATH_MAX + 200], path[PATH_MAX];
    unsigned long from, to;
    FILE *maps = result == 0 && (flags & MS_SYNC) ? fopen("/proc/self/maps", "r") : NULL;
    while (maps && fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %[^\n]", &from, &to, path) == 3 &&
            from <= (unsigned long)address && (unsigned long)address < to && is_below_root(path))
            note("sync", path, NULL);
    if (maps) fclose(maps);
    return result;
}

static void note_rename(int from_folder, const char *from, int to_folder, const char *to) {
    char source[PATH_MAX], target[PATH_MAX];
    if (full_path(from_folder, from, source) && full_path(to_folder, to, target) &&
        is_below_root(target))
        note("rename", source, target);
}

int rename(const char *from, const char *to) {
    note_rename(AT_FDCWD, from, AT_FDCWD, to);
    return REAL(rename)(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    note_rename(from_folder, from, to_folder, to);
    return REAL(renameat)(from_folder, from, to_folder, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    note_rename(from_folder, from, to_folder, to);
    return REAL(renameat2)(from_folder, from, to_folder, to, flags);
}
