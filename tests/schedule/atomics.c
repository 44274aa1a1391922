/*
 * Atomic operations, as the compiler calls them under -fsanitize=thread; see
 * sanitizer/tsan_interface_atomic.h for the names. Each is a scheduling point, then happens
 * at one instant.
 *
 * A store that is not sequentially consistent goes to the store buffer of its thread: other
 * threads see it later, after all earlier ones of that thread. What locks the bus, or goes
 * through a mutex, empties the buffer first.
 */
#include "schedule.h"

#include <string.h>

#define HERE __builtin_return_address(0)

enum { RELAXED, CONSUME, ACQUIRE, RELEASE, ACQ_REL, SEQ_CST };

/* ---- Store buffers ---------------------------------------------------------------------------- */

static uint64_t read_sized(const volatile void *at, unsigned size)
{
    switch (size) {
    case 1: return *(const volatile uint8_t *)at;
    case 2: return *(const volatile uint16_t *)at;
    case 4: return *(const volatile uint32_t *)at;
    default: return *(const volatile uint64_t *)at;
    }
}

static void write_sized(volatile void *at, unsigned size, uint64_t value)
{
    switch (size) {
    case 1: *(volatile uint8_t *)at = (uint8_t)value; break;
    case 2: *(volatile uint16_t *)at = (uint16_t)value; break;
    case 4: *(volatile uint32_t *)at = (uint32_t)value; break;
    default: *(volatile uint64_t *)at = value;
    }
}

static void arrive(const struct store *store)
{
    memory_check(store->at, store->size);
    write_sized(store->at, store->size, store->value);
    race_stored(store->at, &store->clock);
}

bool stores_flush_one(struct thread *t)
{
    if (t->n_stores == 0)
        return false;
    struct store first = t->stores[0];
    memmove(t->stores, t->stores + 1, (size_t)--t->n_stores * sizeof *t->stores);
    arrive(&first);
    return true;
}

void stores_flush(struct thread *t)
{
    while (t != NULL && stores_flush_one(t)) {}
}

static bool acquires(int order)
{
    return order == CONSUME || order == ACQUIRE || order == ACQ_REL || order == SEQ_CST;
}

static bool releases(int order)
{
    return order == RELEASE || order == ACQ_REL || order == SEQ_CST;
}

static void touch(const volatile void *at, unsigned size, unsigned kind, const void *where)
{
    memory_check(at, size);
    race_access(at, size, kind, where);
}

static uint64_t load(const volatile void *at, unsigned size, int order, const void *where)
{
    schedule_point("atomic load", where);
    touch(at, size, RACE_READ | RACE_ATOMIC, where);
    if (self != NULL && acquires(order))
        race_acquire(at);
    if (self != NULL)
        for (int i = self->n_stores; i-- > 0;)
            if (self->stores[i].at == at)
                return self->stores[i].value;
    return read_sized(at, size);
}

static void store(volatile void *at, unsigned size, uint64_t value, int order, const void *where)
{
    schedule_point("atomic store", where);
    touch(at, size, RACE_WRITE | RACE_ATOMIC, where);
    if (self == NULL) {
        write_sized(at, size, value);
        return;
    }
    struct store store = {at, value, size, race_stamp(releases(order))};
    if (order == SEQ_CST || !strategy_stores_wait()) {
        stores_flush(self);
        arrive(&store);
        return;
    }
    if (self->n_stores == STORES_MAX)
        stores_flush_one(self);
    self->stores[self->n_stores++] = store;
}

/* Before and after a read-modify-write. */
static void before_change(const volatile void *at, unsigned size, int order, const void *where)
{
    schedule_point("atomic change", where);
    stores_flush(self);
    touch(at, size, RACE_WRITE | RACE_ATOMIC, where);
    if (self != NULL && acquires(order))
        race_acquire(at);
}

static void after_change(const volatile void *at, int order)
{
    if (self != NULL && releases(order))
        race_release(at);
}

/* ---- The entry points ---------------------------------------------------------------------------- */

#define CHANGE(bits, type, name, result) \
    type __tsan_atomic##bits##_##name(volatile type *at, type v, int order); \
    type __tsan_atomic##bits##_##name(volatile type *at, type v, int order) \
    { \
        before_change(at, sizeof(type), order, HERE); \
        type old = *at; \
        *at = (type)(result); \
        after_change(at, order); \
        return old; \
    }

/* gcc calls strong and weak, clang val for both. */
#define COMPARE_VAL(bits, type) \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *at, type expected, type v, int order, \
                                                    int order_if_not); \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *at, type expected, type v, int order, \
                                                    int order_if_not) \
    { \
        before_change(at, sizeof(type), order_if_not, HERE); \
        type old = *at; \
        if (old == expected) { \
            if (acquires(order) && self != NULL) \
                race_acquire(at); \
            *at = v; \
            after_change(at, order); \
        } \
        return old; \
    }

#define COMPARE(bits, type, name, may_fail) \
    int __tsan_atomic##bits##_compare_exchange_##name(volatile type *at, type *expected, type v, int order, \
                                                      int order_if_not); \
    int __tsan_atomic##bits##_compare_exchange_##name(volatile type *at, type *expected, type v, int order, \
                                                      int order_if_not) \
    { \
        before_change(at, sizeof(type), order_if_not, HERE); \
        type old = *at; \
        if (old == *expected && !((may_fail) && self != NULL && strategy_chance(8))) { \
            if (acquires(order) && self != NULL) \
                race_acquire(at); \
            *at = v; \
            after_change(at, order); \
            return 1; \
        } \
        *expected = old; \
        return 0; \
    }

#define ATOMICS(bits, type) \
    type __tsan_atomic##bits##_load(const volatile type *at, int order); \
    type __tsan_atomic##bits##_load(const volatile type *at, int order) \
    { \
        return (type)load(at, sizeof(type), order, HERE); \
    } \
    void __tsan_atomic##bits##_store(volatile type *at, type v, int order); \
    void __tsan_atomic##bits##_store(volatile type *at, type v, int order) \
    { \
        store(at, sizeof(type), (uint64_t)v, order, HERE); \
    } \
    CHANGE(bits, type, exchange, v) \
    CHANGE(bits, type, fetch_add, old + v) \
    CHANGE(bits, type, fetch_sub, old - v) \
    CHANGE(bits, type, fetch_and, old & v) \
    CHANGE(bits, type, fetch_or, old | v) \
    COMPARE(bits, type, strong, false) \
    COMPARE(bits, type, weak, true) \
    COMPARE_VAL(bits, type)

ATOMICS(8, unsigned char)
ATOMICS(16, unsigned short)
ATOMICS(32, unsigned)
ATOMICS(64, unsigned long)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
    if (order == SEQ_CST)
        stores_flush(self);
}

/* ---- Plain accesses: no scheduling points ------------------------------------------------------ */

static void plain(const volatile void *at, size_t size, unsigned kind, const void *where)
{
    memory_check(at, size);
    race_access(at, size, kind, where);
}

#define PLAIN(name, size, kind) \
    void __tsan_##name##size(void *at); \
    void __tsan_##name##size(void *at) { plain(at, size, kind, HERE); }

#define PLAIN_SIZES(name, kind) \
    PLAIN(name, 1, kind) PLAIN(name, 2, kind) PLAIN(name, 4, kind) PLAIN(name, 8, kind) PLAIN(name, 16, kind)

PLAIN_SIZES(read, RACE_READ)
PLAIN_SIZES(write, RACE_WRITE)
PLAIN_SIZES(unaligned_read, RACE_READ)
PLAIN_SIZES(unaligned_write, RACE_WRITE)

void __tsan_read_range(void *at, unsigned long size);
void __tsan_read_range(void *at, unsigned long size) { plain(at, size, RACE_READ, HERE); }
void __tsan_write_range(void *at, unsigned long size);
void __tsan_write_range(void *at, unsigned long size) { plain(at, size, RACE_WRITE, HERE); }

/* clang calls these. */
void *__tsan_memcpy(void *to, const void *from, unsigned long n);
void *__tsan_memcpy(void *to, const void *from, unsigned long n)
{
    plain(to, n, RACE_WRITE, HERE);
    plain(from, n, RACE_READ, HERE);
    return memcpy(to, from, n);
}

void *__tsan_memmove(void *to, const void *from, unsigned long n);
void *__tsan_memmove(void *to, const void *from, unsigned long n)
{
    plain(to, n, RACE_WRITE, HERE);
    plain(from, n, RACE_READ, HERE);
    return memmove(to, from, n);
}

void *__tsan_memset(void *to, int c, unsigned long n);
void *__tsan_memset(void *to, int c, unsigned long n)
{
    plain(to, n, RACE_WRITE, HERE);
    return memset(to, c, n);
}

void __tsan_init(void);
void __tsan_init(void) {}
void __tsan_func_entry(void *caller);
void __tsan_func_entry(void *caller) { (void)caller; }
void __tsan_func_exit(void);
void __tsan_func_exit(void) {}
