/* Preloaded into a process, this logs what decides which files a loss of power leaves: names that are
 * given and taken away, and syncs of files and folders. For each one below $SYNC_ROOT it writes a line
 * to $SYNC_LOG/log and a copy of the file, as it is at that moment, to $SYNC_LOG/NUMBER. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
static __thread int is_busy; /* with the log: its own files are not logged */

static int is_below_root(const char *path) {
    const char *root = getenv("SYNC_ROOT");
    return !is_busy && root && getenv("SYNC_LOG") && strncmp(path, root, strlen(root)) == 0;
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

/* From begin to end the log is locked, for other processes and threads too, so that its order is that
 * of what happened. */
static int begin(void) {
    char name[PATH_MAX];
    is_busy = 1;
    snprintf(name, sizeof name, "%s/log", getenv("SYNC_LOG"));
    int log = open(name, O_RDWR | O_CREAT | O_APPEND, 0666);
    if (log < 0 || flock(log, LOCK_EX)) abort();
    return log;
}

static void end(int log) {
    close(log);
    is_busy = 0;
}

/* The length of the log gives each event its number. */
static void note(int log, const char *what, const char *path, const char *target) {
    char name[PATH_MAX], line[3 * PATH_MAX];
    off_t number = lseek(log, 0, SEEK_END);
    struct stat about;
    memset(&about, 0, sizeof about);
    lstat(target ? target : path, &about);
    snprintf(name, sizeof name, "%s/%ld", getenv("SYNC_LOG"), (long)number);
    if (S_ISREG(about.st_mode)) copy(target ? target : path, name);
    int length = snprintf(line, sizeof line, "%s\t%ld\t%lu\t%s\t%s\n", what, (long)number,
                          (unsigned long)about.st_ino, path, target ? target : "");
    if (write(log, line, length) != length) abort();
}

static int path_of(int file, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    path[n < 0 ? 0 : n] = 0;
    return n >= 0;
}

static int full_path(int folder, const char *path, char *full) {
    char base[PATH_MAX];
    if (path[0] == '/') return snprintf(full, PATH_MAX, "%s", path) < PATH_MAX;
    if (folder == AT_FDCWD ? !getcwd(base, sizeof base) : !path_of(folder, base)) return 0;
    return snprintf(full, PATH_MAX, "%s/%s", base, path) < PATH_MAX;
}

static int is_logged(int folder, const char *path, char *full) {
    return full_path(folder, path, full) && is_below_root(full);
}

/* Files that get a name. */

#define OPEN(folder, path, makes, call)                                      \
    char full[PATH_MAX];                                                     \
    if (!(makes) || !is_logged(folder, path, full)) return call;             \
    int log = begin(), is_new = access(full, F_OK) != 0;                     \
    __typeof__(call) result = call;                                          \
    if (is_new && access(full, F_OK) == 0) note(log, "create", full, NULL);  \
    end(log);                                                                \
    return result

#define MODE                                       \
    va_list rest;                                  \
    va_start(rest, flags);                         \
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0; \
    va_end(rest)

int open(const char *path, int flags, ...) {
    MODE;
    OPEN(AT_FDCWD, path, flags & O_CREAT, REAL(open)(path, flags, mode));
}

int open64(const char *path, int flags, ...) {
    MODE;
    OPEN(AT_FDCWD, path, flags & O_CREAT, REAL(open64)(path, flags, mode));
}

int openat(int folder, const char *path, int flags, ...) {
    MODE;
    OPEN(folder, path, flags & O_CREAT, REAL(openat)(folder, path, flags, mode));
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE;
    OPEN(folder, path, flags & O_CREAT, REAL(openat64)(folder, path, flags, mode));
}

FILE *fopen(const char *path, const char *mode) {
    OPEN(AT_FDCWD, path, mode[0] != 'r', REAL(fopen)(path, mode));
}

FILE *fopen64(const char *path, const char *mode) {
    OPEN(AT_FDCWD, path, mode[0] != 'r', REAL(fopen64)(path, mode));
}

#define CHANGE(what, folder, path, call)                     \
    char full[PATH_MAX];                                     \
    if (!is_logged(folder, path, full)) return call;         \
    int log = begin(), result = call;                        \
    if (result == 0) note(log, what, full, NULL);            \
    end(log);                                                \
    return result

int mkdir(const char *path, mode_t mode) {
    CHANGE("mkdir", AT_FDCWD, path, REAL(mkdir)(path, mode));
}

int mkdirat(int folder, const char *path, mode_t mode) {
    CHANGE("mkdir", folder, path, REAL(mkdirat)(folder, path, mode));
}

/* Names that are taken away. */

int unlink(const char *path) { CHANGE("unlink", AT_FDCWD, path, REAL(unlink)(path)); }

int unlinkat(int folder, const char *path, int flags) {
    CHANGE("unlink", folder, path, REAL(unlinkat)(folder, path, flags));
}

int rmdir(const char *path) { CHANGE("unlink", AT_FDCWD, path, REAL(rmdir)(path)); }

int remove(const char *path) { CHANGE("unlink", AT_FDCWD, path, REAL(remove)(path)); }

#define RENAME(from_folder, from, to_folder, to, call)                                     \
    char source[PATH_MAX], target[PATH_MAX];                                               \
    if (!full_path(from_folder, from, source) || !is_logged(to_folder, to, target)) return call; \
    int log = begin(), result = call;                                                      \
    if (result == 0) note(log, "rename", source, target);                                  \
    end(log);                                                                              \
    return result

int rename(const char *from, const char *to) {
    RENAME(AT_FDCWD, from, AT_FDCWD, to, REAL(rename)(from, to));
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    RENAME(from_folder, from, to_folder, to, REAL(renameat)(from_folder, from, to_folder, to));
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    RENAME(from_folder, from, to_folder, to,
           REAL(renameat2)(from_folder, from, to_folder, to, flags));
}

/* Content that is written, and what is synced. */

int close(int file) {
    char path[PATH_MAX];
    int flags = is_busy ? -1 : fcntl(file, F_GETFL);
    int is_written = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
    if (is_written && path_of(file, path) && is_below_root(path) && access(path, F_OK) == 0) {
        int log = begin();
        note(log, "write", path, NULL);
        end(log);
    }
    return REAL(close)(file);
}

#define SYNC(file, call)                                              \
    char path[PATH_MAX];                                              \
    if (!path_of(file, path) || !is_below_root(path)) return call;    \
    int log = begin(), result = call;                                 \
    if (result == 0) note(log, "sync", path, NULL);                   \
    end(log);                                                         \
    return result

int fsync(int file) { SYNC(file, REAL(fsync)(file)); }

int fdatasync(int file) { SYNC(file, REAL(fdatasync)(file)); }

int msync(void *address, size_t length, int flags) {
    int result = REAL(msync)(address, length, flags);
    char line[PATH_MAX + 200], path[PATH_MAX];
    unsigned long from, to;
    FILE *maps = result == 0 && (flags & MS_SYNC) ? fopen("/proc/self/maps", "r") : NULL;
    while (maps && fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %[^\n]", &from, &to, path) == 3 &&
            from <= (unsigned long)address && (unsigned long)address < to && is_below_root(path)) {
            int log = begin();
            note(log, "sync", path, NULL);
            end(log);
        }
    if (maps) fclose(maps);
    return result;
}
