/* SM3 (GB/T 32905-2016) of many messages at once, for rows, salts and Merkle trees. No Python.h: gridcore/sm3/native.py calls it
 * through ctypes, which gives up the interpreter lock meanwhile. No allocation, no state between calls: any thread may call.
 *
 * `lanes` of each call is a width that this machine has: at most sm3_lanes_max(). */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

enum { BLOCK_BYTES = 64, DIGEST_BYTES = 32, STATE_WORDS = 8, LENGTH_BYTES = 8 };
enum { SALT_BYTES = 16, COUNTERS_AT_ONCE = 256, CHUNK_ROWS = 1024 };

static const uint32_t INITIAL_STATE[STATE_WORDS] = {
    0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600, 0xa96f30bc, 0x163138aa, 0xe38dee4d, 0xb0fb0e4e,
};

#define ROTATED(x, n) (((x) << (n)) | ((x) >> (32 - (n))))
#define FOUR(x, n) ROTATED(x, n), ROTATED(x, (n) + 1), ROTATED(x, (n) + 2), ROTATED(x, (n) + 3)
#define EARLY UINT32_C(0x79cc4519)
#define LATE UINT32_C(0x7a879d8a)

/* T_j rotated left by j (mod 32), section 5.3.3. The first is T_0 itself: a shift by 32 bits would be undefined. */
static const uint32_t ROUND_CONSTANTS[64] = {
    EARLY, ROTATED(EARLY, 1), ROTATED(EARLY, 2), ROTATED(EARLY, 3), FOUR(EARLY, 4), FOUR(EARLY, 8), FOUR(EARLY, 12),
    FOUR(LATE, 16), FOUR(LATE, 20), FOUR(LATE, 24), FOUR(LATE, 28),
    LATE, ROTATED(LATE, 1), ROTATED(LATE, 2), ROTATED(LATE, 3), FOUR(LATE, 4), FOUR(LATE, 8), FOUR(LATE, 12),
    FOUR(LATE, 16), FOUR(LATE, 20), FOUR(LATE, 24), FOUR(LATE, 28),
};

/* One round of CF, in place: d becomes the next a, h the next e. FF and GG as section 4.3 names them. */
#define XOR(x, y, z) ((x) ^ (y) ^ (z))
#define MAJORITY(x, y, z) (((x) & (y)) | (((x) | (y)) & (z)))
#define CHOICE(x, y, z) ((((y) ^ (z)) & (x)) ^ (z))
#define ROUND(FF, GG, a, b, c, d, e, f, g, h, j)                                        \
    do {                                                                                \
        __typeof__(a) a12 = ROTATED(a, 12), sum = a12 + e + ROUND_CONSTANTS[j];         \
        __typeof__(a) ss1 = ROTATED(sum, 7);                                            \
        d += FF(a, b, c) + (ss1 ^ a12) + (words[j] ^ words[(j) + 4]);                   \
        h += GG(e, f, g) + ss1 + words[j];                                              \
        h ^= ROTATED(h, 9) ^ ROTATED(h, 17);                                            \
        b = ROTATED(b, 9);                                                              \
        f = ROTATED(f, 19);                                                             \
    } while (0)
#define FOUR_ROUNDS(FF, GG)                                                             \
    do {                                                                                \
        ROUND(FF, GG, a, b, c, d, e, f, g, h, j);                                       \
        ROUND(FF, GG, d, a, b, c, h, e, f, g, j + 1);                                   \
        ROUND(FF, GG, c, d, a, b, g, h, e, f, j + 2);                                   \
        ROUND(FF, GG, b, c, d, a, f, g, h, e, j + 3);                                   \
    } while (0)

/* Message i is prefix || head i || row i. Heads have one size. So have rows, unless `offsets` is given: row i is then
 * rows[offsets[i]] to rows[offsets[i + 1] - 1]. */
struct messages {
    const uint8_t *prefix, *heads, *rows;
    size_t prefix_size, head_size, row_size;
    const uint64_t *offsets;
};

static inline uint32_t load_word(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static inline void store_word(uint8_t *bytes, uint32_t word)
{
    bytes[0] = word >> 24, bytes[1] = word >> 16, bytes[2] = word >> 8, bytes[3] = word;
}

static inline const uint8_t *row_of(const struct messages *messages, size_t index, size_t *size)
{
    size_t start = messages->offsets ? messages->offsets[index] : index * messages->row_size;
    *size = messages->offsets ? messages->offsets[index + 1] - start : messages->row_size;
    return messages->rows + start;
}

static inline size_t message_size(const struct messages *messages, size_t index)
{
    size_t row_size;
    row_of(messages, index, &row_size);
    return messages->prefix_size + messages->head_size + row_size;
}

static inline size_t block_count(const struct messages *messages, size_t index)
{
    return (message_size(messages, index) + 1 + LENGTH_BYTES + BLOCK_BYTES - 1) / BLOCK_BYTES;
}

/* Copy what of a part that starts at byte `at` of the message falls into the block that starts at byte `start`. */
static inline void copy_part(uint8_t *block, size_t start, const uint8_t *part, size_t at, size_t size)
{
    size_t from = at > start ? at : start, end = at + size < start + BLOCK_BYTES ? at + size : start + BLOCK_BYTES;
    if (from < end)
        memcpy(block + (from - start), part + (from - at), end - from);
}

/* What messages of one length share in a block: the prefix and the padding (section 5.2). */
static inline void write_frame(const struct messages *messages, size_t index, size_t number, uint8_t *block)
{
    size_t start = number * BLOCK_BYTES, size = message_size(messages, index);
    memset(block, 0, BLOCK_BYTES);
    copy_part(block, start, messages->prefix, 0, messages->prefix_size);
    copy_part(block, start, (const uint8_t *)"\x80", size, 1);
    if (number + 1 == block_count(messages, index)) {
        uint64_t bits = (uint64_t)size * 8;
        store_word(block + BLOCK_BYTES - 8, bits >> 32);
        store_word(block + BLOCK_BYTES - 4, (uint32_t)bits);
    }
}

/* What is a message's own in a block: its head and its row. */
static inline void write_content(const struct messages *messages, size_t index, size_t number, uint8_t *block)
{
    size_t start = number * BLOCK_BYTES, row_size;
    const uint8_t *row = row_of(messages, index, &row_size);
    const uint8_t *head = messages->heads + index * messages->head_size;
    copy_part(block, start, head, messages->prefix_size, messages->head_size);
    copy_part(block, start, row, messages->prefix_size + messages->head_size, row_size);
}

/* Every machine has four lanes: as vector instructions or, where there are none, one word after the other. */
#define LANES 4
#define TARGET
#define NAME(x) x##_4
#include "lanes.h"

#if defined(__x86_64__)
#define LANES 8
#define TARGET __attribute__((target("avx2")))
#define NAME(x) x##_8
#include "lanes.h"

#define LANES 16
#define TARGET __attribute__((target("avx512f")))
#define NAME(x) x##_16
#include "lanes.h"
#endif

static void hash(int lanes, const struct messages *messages, size_t count, uint8_t *digests)
{
#if defined(__x86_64__)
    if (lanes == 16) {
        hash_16(messages, count, digests);
        return;
    }
    if (lanes == 8) {
        hash_8(messages, count, digests);
        return;
    }
#endif
    (void)lanes;
    hash_4(messages, count, digests);
}

/* The widest that this processor and its operating system allow: 16, 8 or 4. Asked with cpuid itself (Intel SDM volume 1,
 * sections 14.3 and 15.2): not every compiler that builds this file brings a __builtin_cpu_supports that works. */
EXPORT int sm3_lanes_max(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d, saved, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 4;
    __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0)); /* the registers that the operating system saves */
    if ((b & bit_AVX512F) && (saved & 0xe6) == 0xe6)
        return 16;
    if ((b & bit_AVX2) && (saved & 0x06) == 0x06)
        return 8;
#endif
    return 4;
}

/* What a width is called on this machine, for people. */
EXPORT const char *sm3_width_name(int lanes)
{
#if defined(__x86_64__)
    return lanes == 16 ? "AVX-512" : lanes == 8 ? "AVX2" : "SSE2";
#elif defined(__ARM_NEON)
    (void)lanes;
    return "NEON";
#else
    (void)lanes;
    return "plain C";
#endif
}

/* digests[i] = SM3(prefix || head i || row i); see struct messages. `offsets` may be NULL, and heads where head_size is 0. */
EXPORT void sm3_messages(int lanes, const uint8_t *prefix, size_t prefix_size, const uint8_t *heads, size_t head_size,
                         const uint8_t *rows, size_t row_size, const uint64_t *offsets, size_t count, uint8_t *digests)
{
    struct messages messages = {prefix, heads, rows, prefix_size, head_size, row_size, offsets};
    hash(lanes, &messages, count, digests);
}

/* `count` digests of the key-derivation stream of GB/T 32918.4, section 5.4.3: SM3(seed || counter), the counter 32 bits
 * big-endian, its first value `counter` (the stream itself starts at 1). */
EXPORT void sm3_stream(int lanes, const uint8_t *seed, size_t seed_size, uint32_t counter, size_t count, uint8_t *digests)
{
    uint8_t counters[COUNTERS_AT_ONCE][4];
    struct messages messages = {seed, NULL, counters[0], seed_size, 0, sizeof counters[0], NULL};
    for (size_t first = 0; first < count; first += COUNTERS_AT_ONCE) {
        size_t left = count - first, some = left < COUNTERS_AT_ONCE ? left : COUNTERS_AT_ONCE;
        for (size_t i = 0; i < some; i++)
            store_word(counters[i], counter + (uint32_t)(first + i));
        hash(lanes, &messages, some, digests + DIGEST_BYTES * first);
    }
}

/* The level above `count` >= 1 digests (RFC 9162: SM3(0x01 || left || right), an odd last one handed up). `above` takes
 * (count + 1) / 2 digests and may be the same memory as `level`: a group is read before it is written. */
EXPORT void sm3_level(int lanes, const uint8_t *level, size_t count, uint8_t *above)
{
    struct messages pairs = {(const uint8_t *)"\x01", NULL, level, 1, 0, 2 * DIGEST_BYTES, NULL};
    hash(lanes, &pairs, count / 2, above);
    if (count % 2)
        memmove(above + DIGEST_BYTES * (count / 2), level + DIGEST_BYTES * (count - 1), DIGEST_BYTES);
}

/* The root over `count` >= 1 leaf hashes: the first digest of `above`, which has room for the first level above them. */
EXPORT void sm3_root(int lanes, const uint8_t *leaves, size_t count, uint8_t *above)
{
    sm3_level(lanes, leaves, count, above);
    for (count = (count + 1) / 2; count > 1; count = (count + 1) / 2)
        sm3_level(lanes, above, count, above);
}

/* The root over `count` >= 1 salted rows (leaf i = SM3(0x00 || salt i || row i), two salts from each digest of the stream): the
 * first digest of `roots`, which has room for one of every CHUNK_ROWS rows. A chunk is a whole subtree and stays in the cache. */
EXPORT void sm3_salted_root(int lanes, const uint8_t *seed, size_t seed_size, const uint8_t *rows, size_t row_size, size_t count,
                            uint8_t *roots)
{
    uint8_t salts[CHUNK_ROWS * SALT_BYTES], hashes[CHUNK_ROWS * DIGEST_BYTES];
    for (size_t first = 0; first < count; first += CHUNK_ROWS) {
        size_t left = count - first, some = left < CHUNK_ROWS ? left : CHUNK_ROWS;
        sm3_stream(lanes, seed, seed_size, (uint32_t)(first / 2 + 1), (some + 1) / 2, salts);
        sm3_messages(lanes, (const uint8_t *)"\0", 1, salts, SALT_BYTES, rows + first * row_size, row_size, NULL, some, hashes);
        sm3_root(lanes, hashes, some, hashes);
        memcpy(roots + DIGEST_BYTES * (first / CHUNK_ROWS), hashes, DIGEST_BYTES);
    }
    sm3_root(lanes, roots, (count + CHUNK_ROWS - 1) / CHUNK_ROWS, roots);
}
