// The functions that the program finds in this library.
#include "i1/arrow/file_systems.h"
#include "i1/arrow/parquet_reader.h"
#include "i1/tables/arrow_library.h"

extern "C" __attribute__((visibility("default"))) const i1::ArrowLibrary* i1_arrow_library() {
  static const i1::ArrowLibrary library{&i1::open_with_arrow, &i1::list_parquet_files,
                                        &i1::read_whole_file};
  return &library;
}
