// The mapped files of the process, for what can happen to them while they are in use. A file that
// another one replaces (rename) stays as it was mapped; one that is cut off loses pages, and
// touching those raises SIGBUS; one that is written to in place gives other values.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <filesystem>
#include <string>

namespace i1 {

/// Notes a mapping and what its file was when it was opened.
void add_mapping(void* data, size_t size, const std::filesystem::path& path,
                 const struct stat& status);
void remove_mapping(void* data);

/// Gives back the memory of all mappings; bytes that are touched again are read again.
void forget_mapped_pages();

/// From here on a lost page of a mapped file does not kill the program: it and those behind it read
/// as zeros, and the checks below say so. SIGBUS of other causes stays what it was.
void catch_lost_pages();

/// What to tell of the first file that lost a page; empty where none did.
std::string lost_page_message();

/// Throws Failure, naming the file, once a page was lost. AtomicFile and AtomicFolder ask before
/// they commit: what was computed from zeros gets no name.
void check_lost_pages();

/// The same, and where a mapped file was written to since it was opened: its place now holds
/// another size or time under the same inode. For between the steps of whatever takes long.
void check_mapped_files();

}  // namespace i1
