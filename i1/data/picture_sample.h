// Which pictures of a source are stored, and in which order.
#pragma once

#include <vector>

#include "i1/data/bad_records.h"
#include "i1/data/record_builder.h"
#include "i1/io/image.h"

namespace i1 {

/// With min_edge and shape metadata: those whose entry is large enough for the smallest set (for
/// each of the sets the header decides too). With a target count below what there is: a uniform
/// sample in random order, of pictures without a fault; where something is asked of their size and
/// there is no metadata it is drawn in one scan over all headers. The same on every machine.
/// `left_out`: what metadata left out.
std::vector<SourcePicture> select_pictures(std::vector<SourcePicture> pictures,
                                           const RecordBuildOptions& options, BadRecords& left_out);

/// Whether anything is asked of a picture's size.
bool needs_size(const RecordBuildOptions& options);

/// Why a picture of this size is not used in any of the sets; null where it is in some.
const char* size_fault(const ImageSize& size, const RecordBuildOptions& options);

}  // namespace i1
