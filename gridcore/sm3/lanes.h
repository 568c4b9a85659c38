/* SM3 of LANES messages side by side: lane i of every vector belongs to message i. kernel.c includes this file once for each
 * width, with LANES, TARGET (the attribute that allows the width's instructions) and NAME (adds the width to a name).
 *
 * Vectors are an extension that GCC and clang share, so one text serves SSE2, AVX2, AVX-512, NEON and machines without any. */

typedef uint32_t NAME(vector) __attribute__((vector_size(4 * LANES)));

/* The compression function CF of GB/T 32905-2016, section 5.3.3, over one block of each lane. Four rounds at a time bring every
 * word back to its name, so that no round moves words about. */
TARGET static void NAME(compress)(NAME(vector) state[STATE_WORDS], const uint8_t blocks[LANES][BLOCK_BYTES])
{
    uint32_t loaded[16][LANES];
    NAME(vector) words[68];
    for (int lane = 0; lane < LANES; lane++)
        for (int j = 0; j < 16; j++)
            loaded[j][lane] = load_word(blocks[lane] + 4 * j);
    memcpy(words, loaded, sizeof loaded);
    for (int j = 16; j < 68; j++) {
        NAME(vector) mixed = words[j - 16] ^ words[j - 9] ^ ROTATED(words[j - 3], 15);
        mixed ^= ROTATED(mixed, 15) ^ ROTATED(mixed, 23);
        words[j] = mixed ^ ROTATED(words[j - 13], 7) ^ words[j - 6];
    }
    NAME(vector) a = state[0], b = state[1], c = state[2], d = state[3];
    NAME(vector) e = state[4], f = state[5], g = state[6], h = state[7];
    for (int j = 0; j < 16; j += 4)
        FOUR_ROUNDS(XOR, XOR);
    for (int j = 16; j < 64; j += 4)
        FOUR_ROUNDS(MAJORITY, CHOICE);
    state[0] ^= a, state[1] ^= b, state[2] ^= c, state[3] ^= d;
    state[4] ^= e, state[5] ^= f, state[6] ^= g, state[7] ^= h;
}

/* Digests of messages first to first + used - 1; lanes beyond them repeat the last message and are thrown away. */
TARGET static void NAME(hash_group)(const struct messages *messages, size_t first, size_t used, uint8_t *digests)
{
    uint8_t blocks[LANES][BLOCK_BYTES];
    NAME(vector) state[STATE_WORDS];
    size_t index[LANES], counts[LANES], counts_max = 0;
    for (int word = 0; word < STATE_WORDS; word++)
        state[word] = (NAME(vector)){0} + INITIAL_STATE[word];
    for (size_t lane = 0; lane < LANES; lane++) {
        index[lane] = first + (lane < used ? lane : used - 1);
        counts[lane] = block_count(messages, index[lane]);
        counts_max = counts[lane] > counts_max ? counts[lane] : counts_max;
    }
    for (size_t block = 0; block < counts_max; block++) {
        NAME(vector) before[STATE_WORDS], is_open;
        memcpy(before, state, sizeof before);
        for (size_t lane = 0; lane < LANES; lane++) {
            is_open[lane] = block < counts[lane] ? UINT32_MAX : 0;
            /* Messages of one length have the same frame: it is made once and copied. */
            if (lane == 0 || messages->offsets)
                write_frame(messages, index[lane], block, blocks[lane]);
            else
                memcpy(blocks[lane], blocks[0], BLOCK_BYTES);
        }
        for (size_t lane = 0; lane < LANES; lane++)
            write_content(messages, index[lane], block, blocks[lane]);
        NAME(compress)(state, (const uint8_t (*)[BLOCK_BYTES])blocks);
        if (messages->offsets)
            for (int word = 0; word < STATE_WORDS; word++)
                state[word] = (state[word] & is_open) | (before[word] & ~is_open);
    }
    for (size_t lane = 0; lane < used; lane++)
        for (int word = 0; word < STATE_WORDS; word++)
            store_word(digests + DIGEST_BYTES * lane + 4 * word, state[word][lane]);
}

TARGET static void NAME(hash)(const struct messages *messages, size_t count, uint8_t *digests)
{
    for (size_t first = 0; first < count; first += LANES) {
        size_t left = count - first;
        NAME(hash_group)(messages, first, left < LANES ? left : LANES, digests + DIGEST_BYTES * first);
    }
}

#undef LANES
#undef TARGET
#undef NAME
