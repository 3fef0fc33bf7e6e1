/* SPDX-License-Identifier: MIT
 * sound.c - durations out of headers.
 * Floor: dataplane/media; any thread.
 * Owns: nothing.
 * Invariant: see sound.h. */
#include "dataplane/media/sound.h"

#define LEAST_BYTES_A_SECOND 750u  /* 6 kbit/s: the least that speech is coded with */
#define USUAL_BYTES_A_SECOND 4000u /* 32 kbit/s */

static uint64_t
up(uint64_t bytes, uint64_t a_second)
{
    return bytes / a_second + (bytes % a_second != 0 ? 1 : 0);
}

static uint32_t
little(const unsigned char *at, size_t count)
{
    uint32_t value = 0;
    for (size_t i = count; i > 0; i--)
        value = value << 8 | at[i - 1];
    return value;
}

/* Bytes a second of a "fmt " chunk, from what a decoder goes by; 0: none that we know. */
static uint64_t
wave_rate(const unsigned char *fmt)
{
    uint32_t format = little(fmt, 2);
    uint64_t channels = little(fmt + 2, 2);
    uint64_t rate = little(fmt + 4, 4);
    uint64_t bits = little(fmt + 14, 2);
    bool plain = format == 1 || format == 3 || format == 0xfffe; /* integers, floats, either */
    if (!plain || channels < 1 || channels > 16 || rate < 4000 || rate > 384000 || bits < 8 ||
        bits > 64 || bits % 8 != 0)
        return 0;
    return channels * rate * bits / 8;
}

/* RIFF: chunks of 8 bytes of head and their content, padded to even. */
static bool
wave_read(struct str head, uint64_t bytes, struct sound *ret_sound)
{
    const unsigned char *at = (const unsigned char *)head.ptr;
    uint64_t rate = 0;
    if (head.len < 12 || memcmp(at, "RIFF", 4) != 0 || memcmp(at + 8, "WAVE", 4) != 0)
        return false;
    for (size_t i = 12; i + 8 <= head.len;) {
        uint64_t size = little(at + i + 4, 4);
        if (memcmp(at + i, "data", 4) == 0 && rate > 0) {
            uint64_t left = bytes - (i + 8);
            ret_sound->exact = true;
            ret_sound->known = true;
            ret_sound->seconds =
                up(left, rate); /* whatever it says of its size: streams say none */
            ret_sound->seconds_max = ret_sound->seconds;
            return true;
        }
        if (memcmp(at + i, "fmt ", 4) == 0 && size >= 16 && i + 24 <= head.len)
            rate = wave_rate(at + i + 8);
        if (size > head.len)
            return false;
        i += 8 + (size_t)size + (size_t)(size & 1);
    }
    return false;
}

/* Bytes a second of an MPEG frame of layer III, or 0. ISO 11172-3 2.4.2.3. */
static uint64_t
frame_rate(const unsigned char *at)
{
    static const uint16_t kbits[2][16] = {
        {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0}, /* MPEG 1 */
        {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0}};    /* 2, 2.5 */
    bool sync = at[0] == 0xff && (at[1] & 0xe0u) == 0xe0u;
    bool layer3 = (at[1] & 0x06u) == 0x02u;
    bool first = (at[1] & 0x18u) == 0x18u;
    if (!sync || !layer3 || (at[1] & 0x18u) == 0x08u)
        return 0;
    return (uint64_t)kbits[first ? 0 : 1][at[2] >> 4] * 125u;
}

static bool
mp3_read(struct str head, uint64_t bytes, struct sound *ret_sound)
{
    const unsigned char *at = (const unsigned char *)head.ptr;
    size_t from = 0;
    if (head.len >= 10 && memcmp(at, "ID3", 3) == 0) /* size: four bytes of seven bits */
        from = 10 + ((size_t)(at[6] & 0x7fu) << 21 | (size_t)(at[7] & 0x7fu) << 14 |
                     (size_t)(at[8] & 0x7fu) << 7 | (size_t)(at[9] & 0x7fu));
    if (from + 4 > head.len)
        return false;
    uint64_t rate = frame_rate(at + from);
    if (rate == 0)
        return false;
    ret_sound->seconds = up(bytes - from, rate);
    ret_sound->known = true;
    return true;
}

struct sound
sound_of(struct str head, uint64_t bytes)
{
    struct sound sound = {.seconds = up(bytes, USUAL_BYTES_A_SECOND),
                          .seconds_max = up(bytes, LEAST_BYTES_A_SECOND)};
    if (bytes < head.len)
        head.len = (size_t)bytes;
    if (!wave_read(head, bytes, &sound) && mp3_read(head, bytes, &sound) &&
        sound.seconds > sound.seconds_max)
        sound.seconds = sound.seconds_max;
    return sound;
}
