#include "i1/data/nano_objects.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "i1/data/nano_names.h"
#include "i1/data/nano_set.h"

namespace i1 {
namespace {

constexpr int kAnalysisSize = 48;
constexpr double kHueWidth = 30;  // degrees on either side
constexpr double kMinSaturation = 0.3;
constexpr double kMinShare = 0.55, kMaxOtherShare = 0.15;
constexpr int kHueBins = 36;

const WordSet kGroups = word_set("animals-nature|food-drink|activities|objects|travel-places");
const WordSet kFromOtherGroups = word_set(
    "ghost|robot|alien|skull|red heart|orange heart|yellow heart|green heart|"
    "blue heart|purple heart|brown heart|baby|boy|girl|man|woman|ninja|mermaid|"
    "fairy|elf|zombie|vampire|astronaut|cook|farmer|firefighter|pilot|"
    "police officer|student|teacher|singer|artist|detective|guard|superhero|mage|"
    "prince|princess|ear|foot|nose|tooth|bone|eye");

// Whole scenes, states, rectangles and flat marks rather than things.
const WordSet kNotObjects = word_set(
    "cyclone|sunrise|sunset|cityscape|rainbow|stadium|desert|national|park|night|"
    "bridge|milky|motorway|railway|station|wind|leaf fluttering|fog|wave|landslide|"
    "increasing|decreasing|volume|done|tilted|departure|arrival|showing|oncoming|"
    "mountain|construction|view|hole|collision|map|tram|globe|moon|joker|suit|"
    "label|link|seat|metro|lift|calendar|page|chart|index|bubbles|speaker|tray|"
    "memo|placard|identification|receipt|beach|wedding|hotel|love|microbe|x-ray|"
    "shower|elevator|window|door|mirror|picture|film|kaaba|synagogue|hindu|mosque|"
    "shrine|moai|funeral|coffin|headstone|cigarette|bomb|water pistol|dagger|razor|"
    "syringe|pill|clothes|bandage|stop sign|traffic|light rail|crosswalk|hamsa|"
    "nazar|knot|parking|water|placeholder|martial|cricket game|carp|cash|sparkler|"
    "pine decoration|steaming|fish cake|shallow|shooting star|pot of food|moon cake|"
    "face|nest|blossom|rosette|herb|sheaf|seedling|bug|cockroach|feather|wing|"
    "droplet|bus stop|fountain|carousel|roller coaster|playground|ferris|barber|"
    "tanabata|wind chime|yen banknote|pound banknote|euro banknote|dollar banknote|"
    "mahjong|medal|ticket|artist palette|thread|bellhop|tram car|monorail|cableway|"
    "tramway|building|store|office|school|bank|hospital|factory|temple");

const WordSet kNoPersons = word_set("ghost|robot|alien|skull|bone");

bool is_person(const std::string& name) {
  return kFromOtherGroups.contains(name) && !kNoPersons.contains(name) && !name.ends_with("heart");
}

struct Hsv {
  double hue = 0, saturation = 0, value = 0;  // hue in degrees, the others in [0, 1]
};

Hsv to_hsv(double red, double green, double blue) {
  const double high = std::max({red, green, blue}), low = std::min({red, green, blue});
  const double range = high - low;
  Hsv hsv{0, high > 0 ? range / high : 0, high};
  if (range <= 0) return hsv;
  if (high == red) {
    hsv.hue = 60 * std::fmod((green - blue) / range + 6, 6);
  } else if (high == green) {
    hsv.hue = 60 * ((blue - red) / range + 2);
  } else {
    hsv.hue = 60 * ((red - green) / range + 4);
  }
  return hsv;
}

// The straight colour of a sprite's pixel.
Hsv hsv_of(const uint8_t* pixel) {
  const double alpha = std::max<int>(pixel[3], 1);
  return to_hsv(std::min(1.0, pixel[0] / alpha), std::min(1.0, pixel[1] / alpha),
                std::min(1.0, pixel[2] / alpha));
}

double hue_distance(double first, double second) {
  const double distance = std::fabs(std::fmod(first - second + 540, 360) - 180);
  return distance;
}

bool is_near(const Hsv& hsv, double hue) {
  return hsv.saturation >= kMinSaturation && hsv.value > 0.15 &&
         hue_distance(hsv.hue, hue) <= kHueWidth;
}

bool has_word_of(const std::string& name, const WordSet& words) {
  if (words.contains(name)) return true;
  const std::vector<std::string> parts = split_trimmed(name, ' ');
  return std::any_of(parts.begin(), parts.end(),
                     [&](const std::string& part) { return words.contains(part); }) ||
         std::any_of(words.begin(), words.end(), [&](const std::string& word) {
           return word.find(' ') != std::string::npos && name.find(word) != std::string::npos;
         });
}

}  // namespace

bool is_scene_object(const EmojiConcept& entry) {
  if (!entry.tones.empty() || entry.version <= 0) return false;
  if (kFromOtherGroups.contains(entry.name)) return true;
  const std::string name = to_lower(entry.name);
  const bool is_plain = std::all_of(name.begin(), name.end(), [](char letter) {
    return (letter >= 'a' && letter <= 'z') || letter == ' ' || letter == '-';
  });
  return kGroups.contains(entry.group) && is_plain && split_trimmed(name, ' ').size() <= 3 &&
         !is_plural(name) && !is_uncountable(name) && name.find(" with") == std::string::npos &&
         name.find(" without") == std::string::npos && name.find(" on ") == std::string::npos &&
         name.find(" in ") == std::string::npos && name.find(" and ") == std::string::npos &&
         name.find(" behind ") == std::string::npos && !has_word_of(name, kNotObjects);
}

std::string without_color(std::string_view name) {
  for (const NamedColor& color : kColors) {
    const std::string prefix = std::string(color.name) + " ";
    if (name.starts_with(prefix)) return std::string(name.substr(prefix.size()));
  }
  return std::string(name);
}

std::optional<double> single_hue(const Image& sprite) {
  std::array<double, kHueBins> weights{};
  double visible = 0, strong = 0;
  for (size_t i = 0; i < sprite.pixels.size(); i += 4) {
    if (sprite.pixels[i + 3] < 128) continue;
    ++visible;
    const Hsv hsv = hsv_of(sprite.pixels.data() + i);
    if (hsv.saturation < kMinSaturation || hsv.value <= 0.15) continue;
    ++strong;
    weights[static_cast<size_t>(hsv.hue / (360.0 / kHueBins)) % kHueBins] += 1;
  }
  // The window of hues that holds most; its middle is the hue.
  constexpr int kHalfWindow = static_cast<int>(kHueWidth / (360.0 / kHueBins));
  double best = 0, best_hue = 0;
  for (int bin = 0; bin < kHueBins; ++bin) {
    double sum = 0;
    for (int offset = -kHalfWindow; offset < kHalfWindow; ++offset)
      sum += weights[static_cast<size_t>((bin + offset + kHueBins) % kHueBins)];
    if (sum > best) best = sum, best_hue = bin * (360.0 / kHueBins);
  }
  if (visible == 0 || best < kMinShare * visible || strong - best > kMaxOtherShare * visible)
    return std::nullopt;
  return best_hue;
}

Image recolor(const Image& sprite, double hue, Color color) {
  // Light and shade relative to the typical pixel of that hue.
  double saturation = 0, value = 0, count = 0;
  for (size_t i = 0; i < sprite.pixels.size(); i += 4) {
    const Hsv hsv = hsv_of(sprite.pixels.data() + i);
    if (sprite.pixels[i + 3] < 128 || !is_near(hsv, hue)) continue;
    saturation += hsv.saturation, value += hsv.value, ++count;
  }
  if (count == 0) return sprite;
  saturation /= count, value /= count;

  Image painted = sprite;
  for (size_t i = 0; i < painted.pixels.size(); i += 4) {
    uint8_t* at = painted.pixels.data() + i;
    const Hsv hsv = hsv_of(at);
    if (at[3] == 0 || hue_distance(hsv.hue, hue) > kHueWidth + 15) continue;
    const double strength = std::min(1.0, hsv.saturation / saturation);
    const double light = hsv.value / value;
    const auto channel = [&](uint8_t target) {
      // Shade darkens, light goes towards white; weakly coloured pixels keep their grey.
      const double lit =
          light <= 1 ? target / 255.0 * light : 1 - (1 - target / 255.0) * std::max(0.0, 2 - light);
      const double mixed = lit * strength + hsv.value * (1 - strength);
      return static_cast<uint8_t>(std::lround(std::clamp(mixed, 0.0, 1.0) * at[3]));
    };
    const uint8_t new_pixel[3] = {channel(color.red), channel(color.green), channel(color.blue)};
    std::copy_n(new_pixel, 3, at);
  }
  return painted;
}

std::vector<SceneObject> find_scene_objects(const EmojiSources& sources) {
  std::vector<SceneObject> objects;
  for (const EmojiConcept& entry : sources.table.concepts()) {
    if (!is_scene_object(entry)) continue;
    SceneObject object{
        entry.code, to_lower(entry.name), without_color(to_lower(entry.name)), {}, {}};
    for (const Style style : kStyles) {
      if (sources.pictures.has(style, entry.code) &&
          part_of(sources, entry, style) == EmojiPart::kTrained)
        object.styles.push_back(style);
    }
    if (!object.styles.empty()) objects.push_back(std::move(object));
  }
  at::parallel_for(0, static_cast<int64_t>(objects.size()), 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      SceneObject& object = objects[static_cast<size_t>(i)];
      if (is_person(object.name)) continue;  // skin has colours of its own
      for (const Style style : object.styles) {
        if (const auto hue = single_hue(sources.pictures.load(style, object.code, kAnalysisSize)))
          object.hues.emplace(style, *hue);
      }
    }
  });
  return objects;
}

}  // namespace i1
