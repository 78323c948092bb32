//
// The lower bound of a start: the system calls of a chain, in one static process without a C library.
//
//   floor ROOT GROUPS COMMAND    (as root)
//
// New mount, UTS, IPC, network, PID and cgroup namespaces, hostname, lo, a control group below GROUPS
// (a version 2 hierarchy), the mounts of chroot-rs, pivot_root, exec; then the group is removed. Each call
// is made once: no second process 1, no second mount namespace, no checks; a failure is an exit status
// without a message. tests/benches/start compiles it:
//   cc -O2 -static -nostdlib -fno-stack-protector -fno-asynchronous-unwind-tables floor.c

#include <asm/unistd.h>
#include <linux/if.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <signal.h>

typedef long word;

#if defined(__x86_64__)
static word call(word n, word a, word b, word c, word d, word e) {
    register word r10 __asm__("r10") = d, r8 __asm__("r8") = e;
    word result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}
__asm__(".globl _start\n_start: mov %rsp, %rdi\nand $-16, %rsp\ncall start");
#elif defined(__aarch64__)
static word call(word n, word a, word b, word c, word d, word e) {
    register word x8 __asm__("x8") = n, x0 __asm__("x0") = a, x1 __asm__("x1") = b;
    register word x2 __asm__("x2") = c, x3 __asm__("x3") = d, x4 __asm__("x4") = e;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
}
__asm__(".globl _start\n_start: mov x0, sp\nbl start");
#else
#error "x86_64 or aarch64"
#endif

// a failure exits with the line number, so that a benchmark cannot measure it by mistake
#define MUST(result) must((word)(result), __LINE__)
static word must(word result, int line) {
    if (result < 0) call(__NR_exit_group, line, 0, 0, 0, 0);
    return result;
}

static void mounts(const char *what, const char *where, const char *type, word flags, const char *data) {
    MUST(call(__NR_mount, (word)what, (word)where, (word)type, flags, (word)data));
}

static void read_only(const char *where) {
    mounts(where, where, 0, MS_BIND, 0);
    mounts(0, where, 0, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, 0);
}

static void go(const char *where) { MUST(call(__NR_chdir, (word)where, 0, 0, 0, 0)); }

static void directory(const char *where) { MUST(call(__NR_mkdirat, AT_FDCWD, (word)where, 0755, 0, 0)); }

static void device(const char *where, word major, word minor) {
    MUST(call(__NR_mknodat, AT_FDCWD, (word)where, S_IFCHR | 0666, major << 8 | minor, 0));
}

static void link_to(const char *to, const char *where) {
    MUST(call(__NR_symlinkat, (word)to, AT_FDCWD, (word)where, 0, 0));
}

// mounts in ROOT, the default of chroot-rs for root of the machine
static void world(void) {
    const word safe = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    mounts("proc", "proc", "proc", safe, 0);
    go("proc");
    read_only("bus");
    read_only("fs");
    read_only("irq");
    read_only("sys");
    mounts("tmpfs", "acpi", "tmpfs", safe | MS_RDONLY, 0);
    mounts("/dev/null", "keys", 0, MS_BIND, 0);
    mounts("/dev/null", "timer_list", 0, MS_BIND, 0);
    go("..");
    mounts("sysfs", "sys", "sysfs", safe | MS_RDONLY, 0);
    mounts("cgroup2", "sys/fs/cgroup", "cgroup2", safe | MS_RDONLY, 0);
    mounts("tmpfs", "sys/firmware", "tmpfs", safe | MS_RDONLY, 0);
    mounts("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755,size=64k");
    go("dev");
    call(__NR_umask, 0, 0, 0, 0, 0);
    device("null", 1, 3);
    device("zero", 1, 5);
    device("full", 1, 7);
    device("random", 1, 8);
    device("urandom", 1, 9);
    device("tty", 5, 0);
    link_to("/proc/self/fd", "fd");
    link_to("/proc/self/fd/0", "stdin");
    link_to("/proc/self/fd/1", "stdout");
    link_to("/proc/self/fd/2", "stderr");
    link_to("pts/ptmx", "ptmx");
    directory("pts");
    mounts("devpts", "pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
    directory("shm");
    mounts("tmpfs", "shm", "tmpfs", safe, "mode=1777");
    directory("mqueue");
    mounts("mqueue", "mqueue", "mqueue", safe, 0);
    call(__NR_umask, 022, 0, 0, 0, 0);
    go("..");
}

static void child(const char *root, char **command, char **environment) {
    MUST(call(__NR_unshare, CLONE_NEWCGROUP, 0, 0, 0, 0));
    mounts(root, root, 0, MS_BIND | MS_REC, 0);
    go(root);
    world();
    MUST(call(__NR_pivot_root, (word) ".", (word) ".", 0, 0, 0));
    MUST(call(__NR_umount2, (word) ".", MNT_DETACH, 0, 0, 0));
    go("/");
    MUST(call(__NR_execve, (word)command[0], (word)command, (word)environment, 0, 0));
}

// writes floor-PID into the buffer
static void name_group(char *to, word pid) {
    for (const char *name = "floor-"; *name;) *to++ = *name++;
    for (word rest = pid; rest; rest /= 10) *to++ = '0' + rest % 10;
    *to = 0;
}

__attribute__((used)) void start(word *stack) {
    char **arguments = (char **)(stack + 1);
    char **environment = arguments + stack[0] + 1;
    if (stack[0] < 4) call(__NR_exit_group, 255, 0, 0, 0, 0);
    // by descriptor: the child's pivot_root moves our root, too
    const word open = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    word groups = MUST(call(__NR_openat, AT_FDCWD, (word)arguments[2], open, 0, 0));
    char name[32];
    name_group(name, MUST(call(__NR_getpid, 0, 0, 0, 0, 0)));
    MUST(call(__NR_mkdirat, groups, (word)name, 0755, 0, 0));
    word group = MUST(call(__NR_openat, groups, (word)name, open, 0, 0));

    MUST(call(__NR_unshare, CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET, 0, 0, 0, 0));
    mounts(0, "/", 0, MS_REC | MS_PRIVATE, 0);
    MUST(call(__NR_sethostname, (word) "container", 9, 0, 0, 0));
    struct ifreq lo = {.ifr_ifrn = {.ifrn_name = "lo"}, .ifr_ifru = {.ifru_flags = IFF_UP}};
    word socket = MUST(call(__NR_socket, 2, 2, 0, 0, 0));
    MUST(call(__NR_ioctl, socket, 0x8914, (word)&lo, 0, 0));
    call(__NR_close, socket, 0, 0, 0, 0);

    struct clone_args how = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = group};
    word pid = MUST(call(__NR_clone3, (word)&how, sizeof how, 0, 0, 0));
    if (pid == 0) child(arguments[1], arguments + 3, environment);
    int status = 0;
    MUST(call(__NR_wait4, pid, (word)&status, 0, 0, 0));
    MUST(call(__NR_unlinkat, groups, (word)name, AT_REMOVEDIR, 0, 0));
    call(__NR_exit_group, status >> 8 & 255, 0, 0, 0, 0);
}
