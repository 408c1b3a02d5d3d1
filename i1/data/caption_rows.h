// Captions in the forms that people have them in, as rows of a CaptionTable.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "i1/data/sources.h"

namespace i1 {

/// The column of captions that have no name of their own.
inline constexpr const char* kCaptionColumn = "caption";

/// Rows of a file, each with a "key". The ending of its name says what it is:
///   .jsonl   a row a line, blank lines ignored
///   .csv     comma-separated values (RFC 4180), the first line names the columns; .tsv: by tabs
///   .parquet, folders of such files, addresses (http, s3, gs): read_parquet_rows
///   others   JSON: a list of rows, or {KEY: CAPTION, ...}
/// A row without "key" that has "file_name" (Hugging Face's picture folders) is keyed by that name
/// without folders and last extension. Throws UserError (file, line) where it is none of these.
std::vector<TableRow> read_caption_rows(const std::filesystem::path& path);

/// Rows for the pictures of a folder that have a text file beside them (cat.jpg, cat.txt): its
/// text, without blanks around it. Throws UserError where none has.
std::vector<TableRow> captions_beside(const std::vector<SourcePicture>& pictures);

/// The columns that hold text alone, without "key" and "file_name", in alphabetical order.
std::vector<std::string> text_columns(const std::vector<TableRow>& rows);

}  // namespace i1
