// Settings of the allocator that the program is linked with (jemalloc reads this name when it
// starts; the environment's MALLOC_CONF comes after and wins). A step of training or sampling frees
// its activations and the next one asks for the same sizes: freed pages are kept for ten seconds,
// and big blocks too, which jemalloc would otherwise hand back at once.
extern "C" {
extern const char* const malloc_conf;
const char* const malloc_conf = "oversize_threshold:0,dirty_decay_ms:10000,muzzy_decay_ms:0";
}
