/* Makes the n-th call of a kind fail, below Python and TensorFlow: LD_PRELOAD=faults.so, then from the environment

   FAULTS_UNDER   Folders, separated by ":"; only calls on files in them count. None: nothing is done.
   FAULTS_COUNT   A file of eight bytes that every process of a run counts in.
   FAULTS_LOG     A file that gets a line "kind path" for each call that counts; none if not set.
   FAULTS_KIND    The kind that fails: open, read, write, fsync, rename, unlink, list, mkdir, stat; none if not set.
   FAULTS_NUMBER  Which call of that kind fails, from 1.
   FAULTS_ERROR   The errno that it fails with; 0 reads or writes half of what was asked for; a signal's number, negative,
                  sends it to the process, and the call is made as it is.
   FAULTS_TIMES   How many calls fail, from that one on; one if not set.

   They are read when a process begins and by faults_begin(), for one that was forked. A process that has taken the
   fault gets SIGUSR2 if FAULTS_SIGNAL is set and it has a handler: Python's faulthandler then shows where that was. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PATH 4096
#define PASS (-1) /* what `taken` returns for a call that is made as it is */

static const char *under, *kind_failing;
static uint64_t *counter, number, times;
static int error, signals, log_fd = -1;

static int next_ready;
#define NEXT(name)                                                                                                     \
    static __typeof__(name) *next;                                                                                     \
    if (next == NULL) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int real_open(const char *path, int flags) {
    NEXT(open64);
    return next(path, flags, 0600);
}

__attribute__((constructor)) void faults_begin(void) {
    const char *text = getenv("FAULTS_COUNT");
    under = getenv("FAULTS_UNDER");
    kind_failing = getenv("FAULTS_KIND");
    number = (text = getenv("FAULTS_NUMBER")) ? strtoull(text, NULL, 10) : 0;
    error = (text = getenv("FAULTS_ERROR")) ? atoi(text) : 0;
    times = (text = getenv("FAULTS_TIMES")) ? strtoull(text, NULL, 10) : 1;
    signals = getenv("FAULTS_SIGNAL") != NULL;
    counter = NULL;
    log_fd = -1;
    next_ready = 0;
    if ((text = getenv("FAULTS_COUNT")) != NULL) {
        int file = real_open(text, O_RDWR);
        void *page = file < 0 ? MAP_FAILED : mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        counter = page == MAP_FAILED ? NULL : page;
        if (file >= 0) close(file);
    }
    if ((text = getenv("FAULTS_LOG")) != NULL) {
        int file = real_open(text, O_WRONLY | O_APPEND | O_CREAT);
        log_fd = fcntl(file, F_DUPFD_CLOEXEC, 700); /* out of the way of programs that count descriptors */
        close(file);
    }
    next_ready = 1;
}

static int is_under(const char *path) {
    for (const char *start = under; start != NULL && *start != '\0';) {
        size_t length = strcspn(start, ":");
        if (length && strncmp(path, start, length) == 0 && (path[length] == '/' || path[length] == '\0')) return 1;
        start += length + (start[length] == ':');
    }
    return 0;
}

/* Returns what a call of a kind on an absolute path fails with: PASS, 0 for half of it, or an errno. */
static int taken(const char *kind, const char *path) {
    int before = errno, result = PASS;
    if (is_under(path)) {
        if (kind_failing != NULL && counter != NULL && strcmp(kind, kind_failing) == 0) {
            uint64_t now = __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
            if (now >= number && now - number < times) result = error;
        }
        if (log_fd >= 0) {
            char line[PATH + 64];
            int length = snprintf(line, sizeof line, "%s%s %s\n", result == PASS ? "" : "FAULT ", kind, path);
            NEXT(write);
            if (next(log_fd, line, (size_t)length) < 0) abort();
        }
        if (result < PASS) {
            kill(getpid(), -result);
            result = PASS;
        }
        struct sigaction handler;
        int shows = result != PASS && signals && sigaction(SIGUSR2, NULL, &handler) == 0;
        if (shows && handler.sa_handler != SIG_DFL) raise(SIGUSR2); /* programs that were started have none */
    }
    errno = before;
    return result;
}

static int taken_file(const char *kind, int file) {
    char link[64], path[PATH];
    if (!next_ready || under == NULL || file < 0) return PASS;
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length <= 0) return PASS;
    path[length] = '\0';
    return taken(kind, path);
}

static int taken_path(const char *kind, int folder, const char *name) {
    char link[64], path[PATH];
    if (!next_ready || under == NULL || name == NULL) return PASS;
    if (name[0] == '/') return taken(kind, name);
    int before = errno;
    if (folder == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length <= 0) return PASS;
    snprintf(path + length, sizeof path - (size_t)length, "/%s", name);
    return taken(kind, path);
}

#define FAIL(fault, result)                                                                                            \
    do {                                                                                                               \
        if ((fault) > 0) {                                                                                             \
            errno = (fault);                                                                                           \
            return result;                                                                                             \
        }                                                                                                              \
    } while (0)
#define HALF(fault, count) ((fault) == 0 && (count) > 1 ? (count) / 2 : (count))

/* Opening */

static mode_t mode_of(int flags, va_list more) {
    return flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? va_arg(more, mode_t) : 0;
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        NEXT(name);                                                                                                    \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = mode_of(flags, more);                                                                            \
        va_end(more);                                                                                                  \
        int fault = taken_path("open", AT_FDCWD, path);                                                                \
        FAIL(fault, -1);                                                                                               \
        return next(path, flags, mode);                                                                                \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                   \
    int name(int folder, const char *path, int flags, ...) {                                                           \
        NEXT(name);                                                                                                    \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = mode_of(flags, more);                                                                            \
        va_end(more);                                                                                                  \
        int fault = taken_path("open", folder, path);                                                                  \
        FAIL(fault, -1);                                                                                               \
        return next(folder, path, flags, mode);                                                                        \
    }
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name)                                                                                                    \
    FILE *name(const char *path, const char *mode) {                                                                   \
        NEXT(name);                                                                                                    \
        int fault = taken_path("open", AT_FDCWD, path);                                                                \
        FAIL(fault, NULL);                                                                                             \
        return next(path, mode);                                                                                       \
    }
FOPEN(fopen)
FOPEN(fopen64)

/* Calls on a file that is open, by its descriptor */

#define TRANSFER(name, kind, parameters, count, arguments)                                                             \
    ssize_t name parameters {                                                                                          \
        NEXT(name);                                                                                                    \
        int fault = taken_file(kind, file);                                                                            \
        FAIL(fault, -1);                                                                                               \
        count = HALF(fault, count);                                                                                    \
        return next arguments;                                                                                         \
    }
TRANSFER(read, "read", (int file, void *to, size_t count), count, (file, to, count))
TRANSFER(pread, "read", (int file, void *to, size_t count, off_t at), count, (file, to, count, at))
TRANSFER(pread64, "read", (int file, void *to, size_t count, off64_t at), count, (file, to, count, at))
TRANSFER(write, "write", (int file, const void *from, size_t count), count, (file, from, count))
TRANSFER(pwrite, "write", (int file, const void *from, size_t count, off_t at), count, (file, from, count, at))
TRANSFER(pwrite64, "write", (int file, const void *from, size_t count, off64_t at), count, (file, from, count, at))
TRANSFER(writev, "write", (int file, const struct iovec *from, int count), count, (file, from, count))
TRANSFER(readv, "read", (int file, const struct iovec *to, int count), count, (file, to, count))
TRANSFER(sendfile, "write", (int file, int from, off_t *at, size_t count), count, (file, from, at, count))
TRANSFER(sendfile64, "write", (int file, int from, off64_t *at, size_t count), count, (file, from, at, count))
TRANSFER(copy_file_range, "write", (int from, off64_t *at, int file, off64_t *to, size_t count, unsigned flags), count,
         (from, at, file, to, count, flags))

#define SYNC(name)                                                                                                     \
    int name(int file) {                                                                                               \
        NEXT(name);                                                                                                    \
        int fault = taken_file("fsync", file);                                                                         \
        FAIL(fault, -1);                                                                                               \
        return next(file);                                                                                             \
    }
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(name, type)                                                                                           \
    int name(int file, type length) {                                                                                  \
        NEXT(name);                                                                                                    \
        int fault = taken_file("write", file);                                                                         \
        FAIL(fault, -1);                                                                                               \
        return next(file, length);                                                                                     \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define MAP(name, type)                                                                                                \
    void *name(void *address, size_t length, int access, int flags, int file, type at) {                               \
        NEXT(name);                                                                                                    \
        int fault = taken_file("read", file);                                                                          \
        FAIL(fault, MAP_FAILED);                                                                                       \
        return next(address, length, access, flags, file, at);                                                         \
    }
MAP(mmap, off_t)
MAP(mmap64, off64_t)

/* The C library's buffered files: half of what does not fit is written, as it would be. */

size_t fwrite(const void *from, size_t size, size_t count, FILE *file) {
    NEXT(fwrite);
    int fault = taken_file("write", fileno(file));
    if (fault > 0) {
        size_t written = next(from, size, count / 2, file);
        errno = fault;
        return written;
    }
    return next(from, size, count, file);
}

int fflush(FILE *file) {
    NEXT(fflush);
    int fault = file == NULL ? PASS : taken_file("write", fileno(file));
    FAIL(fault, EOF);
    return next(file);
}

int fclose(FILE *file) {
    NEXT(fclose);
    int fault = taken_file("write", fileno(file)), result = next(file);
    FAIL(fault, EOF);
    return result;
}

size_t fread(void *to, size_t size, size_t count, FILE *file) {
    NEXT(fread);
    int fault = taken_file("read", fileno(file));
    FAIL(fault, 0);
    return next(to, size, count, file);
}

/* Calls on names */

#define NAMES(name, kind, parameters, folder, path, arguments)                                                         \
    int name parameters {                                                                                              \
        NEXT(name);                                                                                                    \
        int fault = taken_path(kind, folder, path);                                                                    \
        FAIL(fault, -1);                                                                                               \
        return next arguments;                                                                                         \
    }
NAMES(rename, "rename", (const char *from, const char *to), AT_FDCWD, to, (from, to))
NAMES(renameat, "rename", (int at, const char *from, int in, const char *to), in, to, (at, from, in, to))
NAMES(renameat2, "rename", (int at, const char *from, int in, const char *to, unsigned flags), in, to,
      (at, from, in, to, flags))
NAMES(unlink, "unlink", (const char *path), AT_FDCWD, path, (path))
NAMES(unlinkat, "unlink", (int folder, const char *path, int flags), folder, path, (folder, path, flags))
NAMES(rmdir, "unlink", (const char *path), AT_FDCWD, path, (path))
NAMES(mkdir, "mkdir", (const char *path, mode_t mode), AT_FDCWD, path, (path, mode))
NAMES(mkdirat, "mkdir", (int folder, const char *path, mode_t mode), folder, path, (folder, path, mode))
NAMES(link, "rename", (const char *from, const char *to), AT_FDCWD, to, (from, to))
NAMES(symlink, "rename", (const char *from, const char *to), AT_FDCWD, to, (from, to))
NAMES(stat, "stat", (const char *path, struct stat *to), AT_FDCWD, path, (path, to))
NAMES(lstat, "stat", (const char *path, struct stat *to), AT_FDCWD, path, (path, to))
NAMES(stat64, "stat", (const char *path, struct stat64 *to), AT_FDCWD, path, (path, to))
NAMES(lstat64, "stat", (const char *path, struct stat64 *to), AT_FDCWD, path, (path, to))
NAMES(fstatat, "stat", (int folder, const char *path, struct stat *to, int flags), folder, path, (folder, path, to, flags))
NAMES(fstatat64, "stat", (int folder, const char *path, struct stat64 *to, int flags), folder, path,
      (folder, path, to, flags))

/* Listing: opening a folder and each entry of it */

DIR *opendir(const char *path) {
    NEXT(opendir);
    int fault = taken_path("list", AT_FDCWD, path);
    FAIL(fault, NULL);
    return next(path);
}

#define READDIR(name, type)                                                                                            \
    type *name(DIR *folder) {                                                                                          \
        NEXT(name);                                                                                                    \
        int fault = taken_file("list", dirfd(folder));                                                                 \
        FAIL(fault, NULL);                                                                                             \
        return next(folder);                                                                                           \
    }
READDIR(readdir, struct dirent)
READDIR(readdir64, struct dirent64)
