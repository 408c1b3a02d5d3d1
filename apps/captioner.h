// Captions a list of pictures: several at a time, each asked about once.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "i1/data/caption_files.h"
#include "i1/data/sources.h"
#include "i1/net/chat.h"

namespace i1 {

struct CaptionOptions {
  std::filesystem::path pictures, output;
  ChatEndpoint endpoint;
  ChatQuestion question{"", "", "", 512, 1};  ///< but for the picture
  int longest_edge = 512, num_connections = 8;
  WorkPart part;
};

struct CaptionReport {
  int64_t num_pictures = 0;
  int64_t num_before = 0;  ///< done by earlier runs
  int64_t num_cached = 0;  ///< the same picture was asked about, under another name or then
  int64_t num_asked = 0;   ///< and answered
  std::map<std::string, int64_t> failed;  ///< by reason
};

/// Captions part `part` of the pictures of a folder into `output` (caption_files.h). Throws
/// UserError where the endpoint takes no question at all or another process is at work on the part,
/// Failure where it stays unreachable for eight pictures in a row or the disk is full, Interrupted;
/// whatever was answered is kept.
CaptionReport caption_pictures(const CaptionOptions& options);

}  // namespace i1
