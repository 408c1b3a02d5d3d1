// Settings of the allocator that the program is linked with (jemalloc reads this name when it
// starts; the environment's MALLOC_CONF comes after and wins). A step of training or sampling frees
// its activations and the next one asks for the same sizes: freed pages are kept, big blocks too.
// Given back by time, however slowly, they cost a step of 1 s 134,000 page faults, a sixth of it;
// return_free_memory (i1/core/memory.h) gives them back where a network has been let go. Huge pages
// (where the system leaves the choice to programs, as Ubuntu does): a step of XL takes a fifth less
// time, the program holds a twentieth more.
extern "C" {
extern const char* const malloc_conf;
const char* const malloc_conf =
    "thp:always,oversize_threshold:0,dirty_decay_ms:-1,muzzy_decay_ms:-1";
}
