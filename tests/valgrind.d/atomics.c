/*
 * What atomics order, told to helgrind and drd.
 *
 * Both know what locks and conditions order. Of a C11 atomic they see a plain access: they
 * would report each as a race, and all memory that it hands from one thread to another. So
 * the suite is compiled with -fsanitize=thread and linked without it: the compiler then
 * calls a function for each atomic operation, with its memory order. These are the
 * functions. A release is told as "happens before", an acquire as "happens after", relaxed
 * as nothing. The operation itself runs unseen by the tool; in its place there is a read,
 * so that memory which is freed or overwritten while others use the atomic is reported.
 *
 * An acquire is taken to see every release of that object until then, not only the one whose
 * value it reads: a race can be missed, but none is invented. The total order of seq_cst is
 * not told; no memory hangs on it.
 *
 * Such a program runs under valgrind only.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <valgrind/helgrind.h>

static void helgrind_before(void *object)
{
    ANNOTATE_HAPPENS_BEFORE(object);
}

static void helgrind_after(void *object)
{
    ANNOTATE_HAPPENS_AFTER(object);
}

#include <valgrind/drd.h> /* defines both once more, for drd */

_Static_assert(sizeof(unsigned long) >= sizeof(uint64_t), "a 64-bit atomic goes through a word");

/*
 * drd keeps a piece of history for each object and thread, and gets slower with each piece. So
 * for drd all objects share a few counters of releases, and it is not told of an acquire that
 * has nothing new to see, as in a thread that looks again and again.
 */
enum { COUNTERS = 64 };
static unsigned released[COUNTERS];
static _Thread_local unsigned acquired[COUNTERS];

static unsigned counter_of(const void *object)
{
    return (unsigned)((uintptr_t)object / 16 % COUNTERS);
}

/* drd understands the requests of helgrind too, hence either the one or the other. */
static bool is_helgrind;

static void release(void *object, int order)
{
    if (order == __ATOMIC_RELAXED || order == __ATOMIC_CONSUME || order == __ATOMIC_ACQUIRE)
        return;
    if (is_helgrind) {
        helgrind_before(object);
        return;
    }
    unsigned counter = counter_of(object);
    ANNOTATE_HAPPENS_BEFORE(&released[counter]);
    __atomic_fetch_add(&released[counter], 1, __ATOMIC_SEQ_CST);
}

static void acquire(void *object, int order)
{
    if (order == __ATOMIC_RELAXED || order == __ATOMIC_RELEASE)
        return;
    if (is_helgrind) {
        helgrind_after(object);
        return;
    }
    unsigned counter = counter_of(object);
    unsigned now = __atomic_load_n(&released[counter], __ATOMIC_SEQ_CST);
    if (now == acquired[counter])
        return;
    acquired[counter] = now;
    ANNOTATE_HAPPENS_AFTER(&released[counter]);
}

static void touch(const volatile void *object)
{
    (void)*(const volatile char *)object;
}

/* What valgrind runs unseen gets the number of the thread first. */
#define UNSEEN(bits, name, operation) \
    static unsigned long unseen_##name##bits(unsigned long thread, uint##bits##_t *object, unsigned long value) \
    { \
        (void)thread; \
        return operation(object, (uint##bits##_t)value, __ATOMIC_SEQ_CST); \
    }

#define MODIFY(bits, name, operation) \
    UNSEEN(bits, name, operation) \
    uint##bits##_t __tsan_atomic##bits##_##name(uint##bits##_t *object, uint##bits##_t value, int order) \
    { \
        touch(object); \
        release(object, order); \
        value = (uint##bits##_t)VALGRIND_NON_SIMD_CALL2(unseen_##name##bits, object, value); \
        acquire(object, order); \
        return value; \
    }

#define LOAD(bits) \
    static unsigned long unseen_load##bits(unsigned long thread, const uint##bits##_t *object) \
    { \
        (void)thread; \
        return __atomic_load_n(object, __ATOMIC_SEQ_CST); \
    } \
    uint##bits##_t __tsan_atomic##bits##_load(uint##bits##_t *object, int order) \
    { \
        uint##bits##_t value = (uint##bits##_t)VALGRIND_NON_SIMD_CALL1(unseen_load##bits, object); \
        acquire(object, order); \
        touch(object); \
        return value; \
    }

#define STORE(bits) \
    void __tsan_atomic##bits##_store(uint##bits##_t *object, uint##bits##_t value, int order) \
    { \
        touch(object); \
        release(object, order); \
        VALGRIND_NON_SIMD_CALL2(unseen_exchange##bits, object, value); \
    }

#define COMPARE(bits, strength) \
    bool __tsan_atomic##bits##_compare_exchange_##strength(uint##bits##_t *object, uint##bits##_t *expected, \
                                                           uint##bits##_t wanted, int order, int or_else) \
    { \
        touch(object); \
        release(object, order); \
        uint##bits##_t before = *expected; \
        *expected = \
            (uint##bits##_t)VALGRIND_NON_SIMD_CALL3(unseen_compare##bits, object, before, wanted); \
        bool done = *expected == before; \
        acquire(object, done ? order : or_else); \
        return done; \
    }

#define COMPARES(bits) \
    static unsigned long unseen_compare##bits(unsigned long thread, uint##bits##_t *object, \
                                              unsigned long expected, unsigned long wanted) \
    { \
        (void)thread; \
        uint##bits##_t seen = (uint##bits##_t)expected; \
        __atomic_compare_exchange_n(object, &seen, (uint##bits##_t)wanted, false, __ATOMIC_SEQ_CST, \
                                    __ATOMIC_SEQ_CST); \
        return seen; \
    } \
    COMPARE(bits, strong) \
    COMPARE(bits, weak)

#define ATOMICS(bits) \
    LOAD(bits) \
    MODIFY(bits, exchange, __atomic_exchange_n) \
    MODIFY(bits, fetch_add, __atomic_fetch_add) \
    MODIFY(bits, fetch_sub, __atomic_fetch_sub) \
    MODIFY(bits, fetch_and, __atomic_fetch_and) \
    MODIFY(bits, fetch_or, __atomic_fetch_or) \
    MODIFY(bits, fetch_xor, __atomic_fetch_xor) \
    STORE(bits) \
    COMPARES(bits)

ATOMICS(8)
ATOMICS(16)
ATOMICS(32)
ATOMICS(64)

/* POSIX lets a thread destroy a lock that it took after all others were done with it, even if
 * the last of them is still on its way out of the unlock. helgrind reports what the unlock
 * does there against the end of the memory, so it is told not to look into the lock. */
int I_WRAP_SONAME_FNNAME_ZU(NONE, antp_mutex_init)(pthread_mutex_t *mutex)
{
    OrigFn original;
    int error;
    VALGRIND_GET_ORIG_FN(original);
    CALL_FN_W_W(error, original, mutex);
    VALGRIND_HG_DISABLE_CHECKING(mutex, sizeof *mutex);
    return error;
}

/* The compiler announces all other accesses too; valgrind sees those by itself. */
#define IGNORED(name) \
    void __tsan_##name(void *address) { (void)address; }
#define IGNORED_SIZES(name) \
    IGNORED(name##1) IGNORED(name##2) IGNORED(name##4) IGNORED(name##8) IGNORED(name##16)
#define IGNORED_RANGE(name) \
    void __tsan_##name##_range(void *address, unsigned long size) { (void)address, (void)size; }

IGNORED_SIZES(read)
IGNORED_SIZES(write)
IGNORED_SIZES(unaligned_read)
IGNORED_SIZES(unaligned_write)
IGNORED_RANGE(read)
IGNORED_RANGE(write)
IGNORED(func_entry)
void __tsan_func_exit(void) {}

/* Called before main. Only helgrind answers that it has such bits. */
void __tsan_init(void)
{
    unsigned char bits;
    is_helgrind = VALGRIND_HG_GET_ABITS(released, &bits, 1) == 1;
    ANNOTATE_BENIGN_RACE_SIZED(released, sizeof released, "these counters are no part of the program");
}
