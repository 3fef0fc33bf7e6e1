/* SPDX-License-Identifier: MIT
 * sound.h - how long a sound file lasts, as far as its header tells.
 * Floor: dataplane/media; values, any thread.
 * Owns: nothing.
 * Invariant: seconds <= seconds_max, and seconds_max is no less than what any decoder can make of
 *            so many bytes at 6 kbit/s; for WAV both are exact. sound_test.c, sound_fuzz.c. */
#ifndef BERTH_DATAPLANE_MEDIA_SOUND_H
#define BERTH_DATAPLANE_MEDIA_SOUND_H

#include "lib/base/str.h"

/* Whole seconds, rounded up. */
struct sound {
    uint64_t seconds; /* exact for WAV; by the first frame's bit rate for MP3; else at 32 kbit/s */
    uint64_t seconds_max; /* nobody can report more */
    bool exact;
    bool known; /* a header told the rate */
};

/* sound_of - head: the first bytes of the file, at least 4 KiB if it has so many; bytes: of all. */
struct sound sound_of(struct str head, uint64_t bytes);

#endif
