/* Keeps, beside a directory, a shadow of it that holds fsynced bytes only: what a power cut would leave.
 *
 * Loaded by LD_PRELOAD into a process under test. Writes and truncations below POWERCUT_ROOT are carried out and
 * remembered per file; fsync and fdatasync of a file carry what is remembered over to POWERCUT_SHADOW. When the process
 * is killed, what was never fsynced is not in the shadow. Unlink, rename and link are carried over at once (a directory
 * entry may survive a power cut without its own fsync; the tests need the harsher case for bytes). Files that end in
 * -shm are SQLite's shared memory, rebuilt at every start: left out. With POWERCUT_LIES_AFTER=n the disk lies: after n
 * of them, fsync and fdatasync say yes and keep nothing. Test only.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define FDS_MAX 4096

struct change {
    struct change *next;
    off_t offset;
    size_t length; /* of bytes; for a truncation 0 */
    int truncates; /* then offset is the new size */
    char bytes[];
};

struct file {
    char *path; /* below the root, with leading slash */
    struct change *first, *last;
};

static void *files; /* tree of every struct file by path (tsearch) */
static struct file *file_of_fd[FDS_MAX]; /* NULL: not ours */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX], shadow[PATH_MAX];
static int ready;
static long syncs, lies_after = LONG_MAX;

static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_unlink)(const char *);
static int (*real_rename)(const char *, const char *);
static int (*real_linkat)(int, const char *, int, const char *, int);

__attribute__((constructor)) static void start(void) {
    real_open = dlsym(RTLD_NEXT, "open64");
    real_openat = dlsym(RTLD_NEXT, "openat64");
    real_close = dlsym(RTLD_NEXT, "close");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_rename = dlsym(RTLD_NEXT, "rename");
    real_linkat = dlsym(RTLD_NEXT, "linkat");
    const char *r = getenv("POWERCUT_ROOT"), *s = getenv("POWERCUT_SHADOW");
    const char *lies = getenv("POWERCUT_LIES_AFTER");
    if (lies) lies_after = atol(lies);
    if (r && s && strlen(r) < PATH_MAX && strlen(s) < PATH_MAX) {
        strcpy(root, r);
        strcpy(shadow, s);
        ready = 1;
    }
}

/* The path below the root, or NULL. */
static const char *below(const char *path) {
    size_t n = strlen(root);
    if (!ready || strncmp(path, root, n) != 0 || path[n] != '/') return NULL;
    size_t length = strlen(path);
    if (length >= 4 && strcmp(path + length - 4, "-shm") == 0) return NULL;
    return path + n;
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

/* The file of this path; made where it is not known. Under the lock. */
static struct file *file_at(const char *path) {
    struct file wanted = {.path = (char *)path};
    struct file **found = tfind(&wanted, &files, by_path);
    if (found) return *found;
    struct file *file = calloc(1, sizeof *file);
    if (!file || !(file->path = strdup(path)) || !tsearch(file, &files, by_path)) abort();
    return file;
}

static void forget(struct file *file) {
    for (struct change *c = file->first; c;) {
        struct change *next = c->next;
        free(c);
        c = next;
    }
    file->first = file->last = NULL;
}

static void opened(int fd, const char *path, int flags) {
    const char *rest = path && fd >= 0 && fd < FDS_MAX ? below(path) : NULL;
    if (!rest) return;
    pthread_mutex_lock(&lock);
    file_of_fd[fd] = file_at(rest);
    pthread_mutex_unlock(&lock);
    if (flags & O_TRUNC) {
        extern int ftruncate64(int, off_t);
        ftruncate64(fd, 0);
    }
}

static void remember(int fd, const void *bytes, size_t length, off_t offset, int truncates) {
    if (fd < 0 || fd >= FDS_MAX || !file_of_fd[fd]) return;
    struct change *c = malloc(sizeof *c + length);
    if (!c) abort();
    c->next = NULL;
    c->offset = offset;
    c->length = length;
    c->truncates = truncates;
    if (length) memcpy(c->bytes, bytes, length);
    pthread_mutex_lock(&lock);
    struct file *file = file_of_fd[fd];
    if (file->last) file->last->next = c; else file->first = c;
    file->last = c;
    pthread_mutex_unlock(&lock);
}

/* Directories above a path: those of the root are there at once, as links and renames are. */
static void make_parents(char *path) {
    for (char *at = path + strlen(shadow) + 1; (at = strchr(at, '/')); at++) {
        *at = 0;
        mkdir(path, 0700);
        *at = '/';
    }
}

static void carry_over(int fd) {
    if (fd < 0 || fd >= FDS_MAX || !file_of_fd[fd]) return;
    struct stat what;
    if (fstat(fd, &what) == 0 && S_ISDIR(what.st_mode)) return;
    pthread_mutex_lock(&lock);
    if (syncs++ >= lies_after) {
        pthread_mutex_unlock(&lock);
        return;
    }
    struct file *file = file_of_fd[fd];
    char path[2 * PATH_MAX];
    snprintf(path, sizeof path, "%s%s", shadow, file->path);
    make_parents(path);
    int to = real_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (to < 0) abort();
    for (struct change *c = file->first; c; c = c->next) {
        if (c->truncates) {
            if (real_ftruncate(to, c->offset) != 0) abort();
        } else if (real_pwrite(to, c->bytes, c->length, c->offset) != (ssize_t)c->length) {
            abort();
        }
    }
    forget(file);
    real_close(to);
    pthread_mutex_unlock(&lock);
}

int open64(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    int fd = real_open(path, flags, mode);
    opened(fd, path, flags);
    return fd;
}

int open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open64(path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    int fd = real_openat(dir, path, flags, mode);
    opened(fd, path[0] == '/' ? path : NULL, flags);
    return fd;
}

int openat(int dir, const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return openat64(dir, path, flags, mode);
}

int close(int fd) {
    if (fd >= 0 && fd < FDS_MAX) file_of_fd[fd] = NULL;
    return real_close(fd);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) {
    ssize_t n = real_pwrite(fd, bytes, length, offset);
    if (n > 0) remember(fd, bytes, (size_t)n, offset, 0);
    return n;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return pwrite64(fd, bytes, length, offset);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    int ours = fd >= 0 && fd < FDS_MAX && file_of_fd[fd] != NULL;
    ssize_t n = real_write(fd, bytes, length);
    if (n > 0 && ours) remember(fd, bytes, (size_t)n, lseek(fd, 0, SEEK_CUR) - n, 0);
    return n;
}

int ftruncate64(int fd, off_t size) {
    int result = real_ftruncate(fd, size);
    if (result == 0) remember(fd, NULL, 0, size, 1);
    return result;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int fsync(int fd) {
    int result = real_fsync(fd);
    if (result == 0) carry_over(fd);
    return result;
}

int fdatasync(int fd) {
    int result = real_fdatasync(fd);
    if (result == 0) carry_over(fd);
    return result;
}

int unlink(const char *path) {
    int result = real_unlink(path);
    const char *rest = result == 0 ? below(path) : NULL;
    if (rest) {
        char name[2 * PATH_MAX];
        snprintf(name, sizeof name, "%s%s", shadow, rest);
        pthread_mutex_lock(&lock);
        forget(file_at(rest));
        real_unlink(name);
        pthread_mutex_unlock(&lock);
    }
    return result;
}

int rename(const char *from, const char *to) {
    int result = real_rename(from, to);
    const char *rest_from = result == 0 ? below(from) : NULL, *rest_to = result == 0 ? below(to) : NULL;
    if (rest_from && rest_to) {
        char a[2 * PATH_MAX], b[2 * PATH_MAX];
        snprintf(a, sizeof a, "%s%s", shadow, rest_from);
        snprintf(b, sizeof b, "%s%s", shadow, rest_to);
        pthread_mutex_lock(&lock);
        real_rename(a, b);
        pthread_mutex_unlock(&lock);
    }
    return result;
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    int result = real_linkat(from_dir, from, to_dir, to, flags);
    const char *rest_from = result == 0 ? below(from) : NULL, *rest_to = result == 0 ? below(to) : NULL;
    if (rest_from && rest_to) {
        char a[2 * PATH_MAX], b[2 * PATH_MAX];
        snprintf(a, sizeof a, "%s%s", shadow, rest_from);
        snprintf(b, sizeof b, "%s%s", shadow, rest_to);
        pthread_mutex_lock(&lock);
        real_linkat(AT_FDCWD, a, AT_FDCWD, b, 0);
        pthread_mutex_unlock(&lock);
    }
    return result;
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }
