// The recipe's picture transform, bit for bit as Pillow computes it: shorter edge to R with
// antialiased bilinear resampling, centre crop to R x R.
#pragma once

#include "i1/io/image.h"

namespace i1 {

/// The size after scaling the shorter edge to R: the longer one is round(long * (R / short)), ties
/// to even. Throws UserError for an empty picture and where the longer edge passes 10^9.
ImageSize resized_size(int width, int height, int resolution);

/// Pillow's "bilinear": a triangle filter widened by the reduction, in fixed point with 22 bits,
/// horizontal pass first, the 8-bit result of which feeds the vertical one. An axis that keeps its
/// size is skipped. 3 or 4 channels, each on its own.
Image resize_bilinear(const Image& image, int width, int height);

/// Scaled down so that the longer edge is at most `longest_edge`, the shorter one rounded, 1 at
/// least; a picture that fits is left as it is.
Image fit_within(Image image, int longest_edge);

/// The window of `width` x `height` whose corner is ((W - width) / 2, (H - height) / 2), rounded
/// down.
Image centre_crop(const Image& image, int width, int height);

/// The smallest size of the picture's shape that covers `target`: resized_size for a square.
ImageSize covering_size(int width, int height, const ImageSize& target);

/// Both: an R x R picture. Small pictures are enlarged. Only what the crop shows is computed.
Image resize_and_crop(const Image& image, int resolution);
/// The same for a size that is no square.
Image resize_and_crop(const Image& image, const ImageSize& target);

/// The same from a picture's file (decode_rows, whose errors it throws), of which only what the
/// crop shows is decoded. `is_fast`: a JPEG is decoded at the smallest size that has enough pixels,
/// which is several times faster, and differs (benchmarks/README.md).
Image decode_resized(std::span<const std::byte> bytes, const std::string& where,
                     const ImageSize& target, bool is_fast = false);

/// The same of a stored picture, which is left as it is where it has that size. Throws RecordError
/// "picture is too narrow", opened by `where`.
Image fit_picture(Image image, const ImageSize& target, const std::string& where);

}  // namespace i1
