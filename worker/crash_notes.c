/* Notes that outlive a process: see crash_notes.h. */
#include "worker/crash_notes.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct crash_notes {
    crash_slot_t slots[CRASH_SLOTS_MAX];
    incarnation_t incarnation;
    _Atomic uint32_t broker_count; /* all that were noted, those that were replaced included */
    char brokers[CRASH_BROKERS_MAX][LIMIT_ENDPOINT_BYTES_MAX + 1];
    _Atomic uint32_t standing; /* runner_standing_t */
    atomic_bool stopping;
    atomic_bool ended;
    int exit_code; /* with `ended` */
    char text[LIMIT_CRASH_TEXT_BYTES_MAX + 1];
};

crash_notes_t *crash_notes_new(void)
{
    void *memory = mmap(NULL, sizeof(crash_notes_t), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0); /* zeroed */
    return memory == MAP_FAILED ? NULL : (crash_notes_t *)memory;
}

void crash_notes_destroy(crash_notes_t **notes)
{
    if (*notes) {
        (void)munmap(*notes, sizeof **notes);
        *notes = NULL;
    }
}

void crash_notes_clear(crash_notes_t *notes)
{
    uint32_t standing = atomic_load(&notes->standing);
    memset(notes, 0, sizeof *notes);
    atomic_store(&notes->standing, standing);
}

void crash_notes_begin(crash_notes_t *notes, incarnation_t incarnation)
{
    notes->incarnation = incarnation;
}

crash_slot_t *crash_notes_slot(crash_notes_t *notes, uint32_t executor)
{
    assert(executor < CRASH_SLOTS_MAX);
    return &notes->slots[executor];
}

void crash_notes_add_broker(crash_notes_t *notes, const char *endpoint)
{
    uint32_t count = crash_notes_broker_count(notes);
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(notes->brokers[i], endpoint) == 0) {
            return;
        }
    }
    uint32_t place = atomic_load(&notes->broker_count) % CRASH_BROKERS_MAX;
    snprintf(notes->brokers[place], sizeof notes->brokers[place], "%s", endpoint);
    atomic_fetch_add(&notes->broker_count, 1); /* only now: the process may die at any time */
}

void crash_notes_set_standing(crash_notes_t *notes, runner_standing_t standing)
{
    atomic_store(&notes->standing, standing);
}

runner_standing_t crash_notes_standing(const crash_notes_t *notes)
{
    return (runner_standing_t)atomic_load(&notes->standing);
}

void crash_notes_stop(crash_notes_t *notes)
{
    atomic_store(&notes->stopping, true);
}

void crash_notes_end(crash_notes_t *notes, int exit_code)
{
    notes->exit_code = exit_code;
    atomic_store(&notes->ended, true);
}

bool crash_notes_ended(const crash_notes_t *notes, int *exit_code)
{
    *exit_code = notes->exit_code;
    return atomic_load(&notes->ended);
}

bool crash_notes_stopping(const crash_notes_t *notes)
{
    return atomic_load(&notes->stopping);
}

void crash_notes_set_text(crash_notes_t *notes, const char *text)
{
    if (!notes->text[0]) {
        snprintf(notes->text, sizeof notes->text, "%s", text);
    }
}

const char *crash_notes_text(const crash_notes_t *notes)
{
    return notes->text;
}

incarnation_t crash_notes_incarnation(const crash_notes_t *notes)
{
    return notes->incarnation;
}

uint32_t crash_notes_culprits(const crash_notes_t *notes, uint64_t culprits[CRASH_SLOTS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < CRASH_SLOTS_MAX; i++) {
        uint64_t crashed = atomic_load(&notes->slots[i].crashed);
        if (crashed != 0 && crashed == atomic_load(&notes->slots[i].at_hand)) {
            culprits[count++] = crashed;
        }
    }
    return count;
}

uint32_t crash_notes_broker_count(const crash_notes_t *notes)
{
    uint32_t count = atomic_load(&notes->broker_count);
    return count < CRASH_BROKERS_MAX ? count : CRASH_BROKERS_MAX;
}

const char *crash_notes_broker(const crash_notes_t *notes, uint32_t index)
{
    assert(index < crash_notes_broker_count(notes));
    return notes->brokers[index];
}
