/* Arithmetic of the SM2 curve (GB/T 32918.5-2017) for gridcore/sm/native.py, which calls it through ctypes and does all the rest. No Python.h,
 * no allocation, no state: any thread may call.
 *
 * Not in constant time: for public data, and for keys of simulated signers, which are nobody's. Numbers are 32 bytes, the first one the
 * highest; in here four words, the first one the lowest, in Montgomery's form (times 2^256), below p. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

enum { WORDS = 4, NUMBER_BYTES = 32, WINDOW_BITS = 5, HALF = 1 << (WINDOW_BITS - 1), WINDOWS = 52 }; /* 52 * 5 bits hold 256 and a carry */

typedef uint64_t Number[WORDS];
typedef unsigned __int128 Double;
typedef struct { Number x, y; } Affine;
typedef struct { Number x, y, z; } Jacobian; /* (x / z^2, y / z^3); z = 0: the point at infinity */

static const Number PRIME = {UINT64_C(0xffffffffffffffff), UINT64_C(0xffffffff00000000), UINT64_C(0xffffffffffffffff), UINT64_C(0xfffffffeffffffff)};
static const Number ONE = {1, UINT64_C(0x00000000ffffffff), 0, UINT64_C(0x0000000100000000)};
static const Number SQUARE = {UINT64_C(0x0000000200000003), UINT64_C(0x00000002ffffffff), UINT64_C(0x0000000100000001), UINT64_C(0x0000000400000002)}; /* 2^512 mod p */

static int is_zero(const Number a) { return !(a[0] | a[1] | a[2] | a[3]); }

/* high * 2^256 + a, which is below 2p, less p where it is not below p. */
static void reduce(Number out, const Number a, uint64_t high)
{
    Number less;
    uint64_t borrow = 0;
    for (int i = 0; i < WORDS; i++) {
        Double difference = (Double)a[i] - PRIME[i] - borrow;
        less[i] = (uint64_t)difference;
        borrow = (uint64_t)(difference >> 64) & 1;
    }
    uint64_t keep = (uint64_t)0 - (borrow & (high ^ 1));
    for (int i = 0; i < WORDS; i++)
        out[i] = (a[i] & keep) | (less[i] & ~keep);
}

static void add(Number out, const Number a, const Number b)
{
    Number sum;
    uint64_t carry = 0;
    for (int i = 0; i < WORDS; i++) {
        Double wide = (Double)a[i] + b[i] + carry;
        sum[i] = (uint64_t)wide;
        carry = (uint64_t)(wide >> 64);
    }
    reduce(out, sum, carry);
}

static void subtract(Number out, const Number a, const Number b)
{
    uint64_t borrow = 0, carry = 0;
    for (int i = 0; i < WORDS; i++) {
        Double difference = (Double)a[i] - b[i] - borrow;
        out[i] = (uint64_t)difference;
        borrow = (uint64_t)(difference >> 64) & 1;
    }
    uint64_t mask = (uint64_t)0 - borrow;
    for (int i = 0; i < WORDS; i++) {
        Double wide = (Double)out[i] + (PRIME[i] & mask) + carry;
        out[i] = (uint64_t)wide;
        carry = (uint64_t)(wide >> 64);
    }
}

/* One word of the product and one of the reduction. -1/p mod 2^64 is 1, so the lowest word itself is what p is multiplied by, and it is also what
 * that carries. Written out, because compilers leave loops of four as loops. */
#define TIMES(sum, word, i)                                   \
    wide = (Double)a[i] * (word) + (sum) + carry;             \
    (sum) = (uint64_t)wide;                                   \
    carry = (uint64_t)(wide >> 64)
#define REDUCED(out, sum, i)                                  \
    wide = (Double)factor * PRIME[i] + (sum) + carry;         \
    (out) = (uint64_t)wide;                                   \
    carry = (uint64_t)(wide >> 64)
#define ROUND(word)                                           \
    do {                                                      \
        uint64_t carry = 0, factor;                           \
        TIMES(t0, word, 0);                                   \
        TIMES(t1, word, 1);                                   \
        TIMES(t2, word, 2);                                   \
        TIMES(t3, word, 3);                                   \
        wide = (Double)t4 + carry;                            \
        t4 = (uint64_t)wide;                                  \
        uint64_t t5 = (uint64_t)(wide >> 64);                 \
        carry = factor = t0;                                  \
        REDUCED(t0, t1, 1);                                   \
        REDUCED(t1, t2, 2);                                   \
        REDUCED(t2, t3, 3);                                   \
        wide = (Double)t4 + carry;                            \
        t3 = (uint64_t)wide;                                  \
        t4 = t5 + (uint64_t)(wide >> 64);                     \
    } while (0)

/* a * b / 2^256 */
static void multiply(Number out, const Number a, const Number b)
{
    uint64_t t0 = 0, t1 = 0, t2 = 0, t3 = 0, t4 = 0;
    Double wide;
    ROUND(b[0]);
    ROUND(b[1]);
    ROUND(b[2]);
    ROUND(b[3]);
    Number product = {t0, t1, t2, t3};
    reduce(out, product, t4);
}

static void square(Number out, const Number a) { multiply(out, a, a); }

/* a^(p-2), which is 1/a. */
static void invert(Number out, const Number a)
{
    Number power;
    memcpy(power, ONE, sizeof power);
    for (int bit = 255; bit >= 0; bit--) {
        uint64_t word = bit < 64 ? PRIME[0] - 2 : PRIME[bit / 64];
        square(power, power);
        if (word >> (bit % 64) & 1)
            multiply(power, power, a);
    }
    memcpy(out, power, sizeof power);
}

static void read_words(Number out, const uint8_t *bytes)
{
    for (int i = 0; i < WORDS; i++) {
        out[i] = 0;
        for (int j = 0; j < 8; j++)
            out[i] = out[i] << 8 | bytes[(WORDS - 1 - i) * 8 + j];
    }
}

static void read_number(Number out, const uint8_t *bytes)
{
    read_words(out, bytes);
    multiply(out, out, SQUARE);
}

static void write_number(uint8_t *bytes, const Number a)
{
    static const Number unit = {1};
    Number plain;
    multiply(plain, a, unit);
    for (int i = 0; i < NUMBER_BYTES; i++)
        bytes[i] = (uint8_t)(plain[(NUMBER_BYTES - 1 - i) / 8] >> ((NUMBER_BYTES - 1 - i) % 8 * 8));
}

/* 2 * point, for a = -3. */
static void twice(Jacobian *point)
{
    Number delta, gamma, beta, alpha, u, v;
    square(delta, point->z);
    square(gamma, point->y);
    multiply(beta, point->x, gamma);
    subtract(u, point->x, delta);
    add(v, point->x, delta);
    multiply(alpha, u, v);
    add(u, alpha, alpha);
    add(alpha, alpha, u);
    multiply(u, point->y, point->z);
    add(point->z, u, u);
    add(beta, beta, beta);
    add(beta, beta, beta);
    square(u, alpha);
    subtract(u, u, beta);
    subtract(point->x, u, beta);
    subtract(u, beta, point->x);
    multiply(u, alpha, u);
    square(gamma, gamma);
    add(gamma, gamma, gamma);
    add(gamma, gamma, gamma);
    add(gamma, gamma, gamma);
    subtract(point->y, u, gamma);
}

/* point + (x, y), or point - (x, y). */
static void add_point(Jacobian *point, const Affine *other, int is_minus)
{
    static const Number zero = {0};
    Number y, h, slope, u, v;
    memcpy(y, other->y, sizeof y);
    if (is_minus)
        subtract(y, zero, y);
    if (is_zero(point->z)) {
        memcpy(point->x, other->x, sizeof y);
        memcpy(point->y, y, sizeof y);
        memcpy(point->z, ONE, sizeof y);
        return;
    }
    square(u, point->z);
    multiply(h, other->x, u);
    subtract(h, h, point->x);
    multiply(u, u, point->z);
    multiply(slope, y, u);
    subtract(slope, slope, point->y);
    if (is_zero(h)) {
        if (is_zero(slope))
            twice(point);
        else
            memset(point->z, 0, sizeof point->z);
        return;
    }
    multiply(point->z, point->z, h);
    square(u, h);
    multiply(v, point->x, u);
    multiply(h, h, u);
    square(u, slope);
    subtract(u, u, h);
    subtract(u, u, v);
    subtract(point->x, u, v);
    subtract(v, v, point->x);
    multiply(v, slope, v);
    multiply(h, point->y, h);
    subtract(point->y, v, h);
}

/* out[i] = (i + 1) * point for HALF multiples, none of which is infinity; with one inversion. */
static void make_multiples(Affine *out, const Affine *point)
{
    Jacobian found[HALF];
    Number before[HALF], inverse, own, own_squared;
    Jacobian current = {.z = {0}};
    for (int i = 0; i < HALF; i++) {
        add_point(&current, point, 0);
        found[i] = current;
        if (i)
            multiply(before[i], before[i - 1], current.z);
        else
            memcpy(before[i], current.z, sizeof inverse);
    }
    invert(inverse, before[HALF - 1]);
    for (int i = HALF - 1; i >= 0; i--) {
        if (i)
            multiply(own, inverse, before[i - 1]);
        else
            memcpy(own, inverse, sizeof own);
        multiply(inverse, inverse, found[i].z);
        square(own_squared, own);
        multiply(out[i].x, found[i].x, own_squared);
        multiply(own_squared, own_squared, own);
        multiply(out[i].y, found[i].y, own_squared);
    }
}

/* Digits from -HALF+1 to HALF of a scalar below 2^256, the lowest first: the sum of digit[i] * 2^(WINDOW_BITS * i). */
static void make_digits(int8_t *digits, const uint8_t *scalar)
{
    Number words;
    int carry = 0;
    read_words(words, scalar);
    for (int i = 0; i < WINDOWS; i++) {
        int at = i * WINDOW_BITS, word = at / 64, shift = at % 64;
        uint64_t bits = word < WORDS ? words[word] >> shift : 0;
        if (shift > 64 - WINDOW_BITS && word + 1 < WORDS)
            bits |= words[word + 1] << (64 - shift);
        int digit = (int)(bits & (2 * HALF - 1)) + carry;
        carry = digit > HALF;
        digits[i] = (int8_t)(carry ? digit - 2 * HALF : digit);
    }
}

static void add_digit(Jacobian *total, const Affine *multiples, int digit)
{
    if (digit)
        add_point(total, &multiples[(digit < 0 ? -digit : digit) - 1], digit < 0);
}

/* total + scalar * G. */
static void add_generator(Jacobian *total, const Affine *table, const uint8_t *scalar)
{
    int8_t digits[WINDOWS];
    make_digits(digits, scalar);
    for (int i = 0; i < WINDOWS; i++)
        add_digit(total, table + i * HALF, digits[i]);
}

static void read_point(Affine *out, const uint8_t *point)
{
    read_number(out->x, point);
    read_number(out->y, point + NUMBER_BYTES);
}

static void to_affine(Affine *out, const Jacobian *point)
{
    Number inverse, squared;
    invert(inverse, point->z);
    square(squared, inverse);
    multiply(out->x, point->x, squared);
    multiply(squared, squared, inverse);
    multiply(out->y, point->y, squared);
}

EXPORT size_t sm2_table_bytes(void) { return sizeof(Affine) * WINDOWS * HALF; }

/* table[i * HALF + d - 1] = d * 2^(WINDOW_BITS * i) * point; point: 64 bytes x||y, the generator. table: aligned to 8 bytes. */
EXPORT void sm2_make_table(const uint8_t *point, Affine *table)
{
    Affine base;
    read_point(&base, point);
    for (int i = 0; i < WINDOWS; i++) {
        make_multiples(table + i * HALF, &base);
        Jacobian next = {.z = {0}};
        add_point(&next, &table[i * HALF + HALF - 1], 0);
        twice(&next);
        to_affine(&base, &next);
    }
}

/* scalar * G as 64 bytes x||y; 0 < scalar < n. */
EXPORT void sm2_generate(const Affine *table, const uint8_t *scalar, uint8_t *point)
{
    Jacobian total = {.z = {0}};
    Affine shown;
    add_generator(&total, table, scalar);
    to_affine(&shown, &total);
    write_number(point, shown.x);
    write_number(point + NUMBER_BYTES, shown.y);
}

EXPORT size_t sm2_key_bytes(void) { return sizeof(Affine) * HALF; }

/* multiples[d - 1] = d * point; point: 64 bytes x||y, on the curve. multiples: aligned to 8 bytes. */
EXPORT void sm2_make_key(const uint8_t *point, Affine *multiples)
{
    Affine base;
    read_point(&base, point);
    make_multiples(multiples, &base);
}

/* Whether s * G + t * key is a point with one of `count` x, each below p. */
EXPORT int sm2_has_x(const Affine *table, const Affine *multiples, const uint8_t *s, const uint8_t *t, const uint8_t *xs, size_t count)
{
    int8_t digits[WINDOWS];
    Jacobian total = {.z = {0}};
    make_digits(digits, t);
    for (int i = WINDOWS - 1; i >= 0; i--) {
        for (int bit = 0; bit < WINDOW_BITS; bit++)
            twice(&total);
        add_digit(&total, multiples, digits[i]);
    }
    add_generator(&total, table, s);
    if (is_zero(total.z))
        return 0;
    Number squared, x;
    square(squared, total.z);
    for (size_t i = 0; i < count; i++) {
        read_number(x, xs + i * NUMBER_BYTES);
        multiply(x, x, squared);
        if (!memcmp(x, total.x, sizeof x))
            return 1;
    }
    return 0;
}
