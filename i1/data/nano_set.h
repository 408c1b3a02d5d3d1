// What a data set of `nano` is before it is drawn: a list of items, each with its captions and a
// function that draws it. Drawing depends on nothing but the item, so any number of threads may
// draw in any order.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "i1/io/image.h"

namespace i1 {

/// Thrown by `NanoItem::draw` where a picture cannot be used; the reason is what is counted.
class LeftOut : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct NanoItem {
  std::string name;                     ///< unique in its set: "3d/1f427"
  std::vector<std::string> captions;    ///< the first names the thing, the second also its style
  nlohmann::ordered_json metadata;      ///< what evaluation needs: concept, style, colours, counts
  std::function<Image(int size)> draw;  ///< RGB, size x size
};

struct NanoSet {
  std::string name;  ///< also its folder: "emoji", "heldout_style"
  std::vector<NanoItem> items;
  std::map<std::string, int64_t> left_out;  ///< reason -> number, of what never became an item
};

}  // namespace i1
