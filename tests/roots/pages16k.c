/*
 * A Raspberry Pi 5's pages on a machine with smaller ones: LD_PRELOAD=pages16k.so. The page size is said to be 16 KiB; a mapping that is
 * not made of whole such pages is refused or, where the kernel chooses its place, put on one. What assumes 4 KiB fails as it would there.
 * Calls inside libc itself (malloc, thread stacks) are libc's business and are not seen. Any thread.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 16384 };

static int odd(const void *address, size_t other)
{
    return (uintptr_t)address % PAGE != 0 || other % PAGE != 0;
}
static size_t whole(size_t len)
{
    return (len + PAGE - 1) / PAGE * PAGE;
}
static int refused(void)
{
    errno = EINVAL;
    return -1;
}

int getpagesize(void)
{
    return PAGE;
}

long sysconf(int name)
{
    union { /* ISO C has no cast from an object's pointer to a function's */
        void *found;
        long (*call)(int);
    } real = {.found = dlsym(RTLD_NEXT, "sysconf")};

    return name == _SC_PAGESIZE ? PAGE : real.call(name);
}

unsigned long getauxval(unsigned long type)
{
    union {
        void *found;
        unsigned long (*call)(unsigned long);
    } real = {.found = dlsym(RTLD_NEXT, "getauxval")};

    return type == AT_PAGESZ ? PAGE : real.call(type);
}

void *mmap(void *address, size_t len, int protection, int flags, int fd, off_t offset)
{
    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) ? odd(address, (size_t)offset) : offset % PAGE != 0) {
        refused();
        return MAP_FAILED;
    }
    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
        return (void *)syscall(SYS_mmap, address, len, protection, flags, fd, offset);
    char *room = (char *)syscall(SYS_mmap, NULL, whole(len) + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return room;
    char *at = room + (PAGE - (uintptr_t)room % PAGE) % PAGE;
    if (at > room)
        syscall(SYS_munmap, room, (size_t)(at - room));
    syscall(SYS_munmap, at + whole(len), (size_t)(room + PAGE - at));
    return (void *)syscall(SYS_mmap, at, len, protection, flags | MAP_FIXED, fd, offset);
}

void *mmap64(void *address, size_t len, int protection, int flags, int fd, off_t offset)
{
    return mmap(address, len, protection, flags, fd, offset);
}

int munmap(void *address, size_t len)
{
    return odd(address, 0) ? refused() : (int)syscall(SYS_munmap, address, whole(len));
}

int mprotect(void *address, size_t len, int protection)
{
    return odd(address, 0) ? refused() : (int)syscall(SYS_mprotect, address, len, protection);
}

int madvise(void *address, size_t len, int advice)
{
    return odd(address, 0) ? refused() : (int)syscall(SYS_madvise, address, len, advice);
}

int msync(void *address, size_t len, int flags)
{
    return odd(address, 0) ? refused() : (int)syscall(SYS_msync, address, len, flags);
}
