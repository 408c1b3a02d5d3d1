// Options as plain structs: everything here works over a struct's one field list (fields.h).
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "i1/core/error.h"
#include "i1/core/fields.h"
#include "i1/core/nearest.h"

namespace i1 {

/// The struct as a JSON object, fields in declaration order, nested structs as nested objects.
template <HasFields Config>
nlohmann::ordered_json to_json(const Config& config) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  Config::fields(config, [&](const char* name, const auto& member) {
    using Member = std::remove_cvref_t<decltype(member)>;
    if constexpr (HasFields<Member>) {
      json[name] = to_json(member);
    } else {
      json[name] = member;
    }
  });
  return json;
}

/// Whether a JSON value is one that a member of this type can hold without loss: nlohmann itself
/// cuts 2.5 to 2 and turns -1 into a huge unsigned number. A whole number may be written 1e6.
template <class Member>
bool holds(const nlohmann::json& value) {
  if constexpr (std::is_same_v<Member, bool>) {
    return value.is_boolean();
  } else if constexpr (std::is_integral_v<Member>) {
    using Limits = std::numeric_limits<Member>;
    if (value.is_number_float()) {
      constexpr double kExact = 9007199254740992;  // 2^53
      const auto number = value.get<double>();
      return number == std::trunc(number) && std::abs(number) <= kExact &&
             number >= static_cast<double>(Limits::min()) &&
             number <= static_cast<double>(Limits::max());
    }
    if (value.is_number_unsigned())
      return std::cmp_less_equal(value.get<uint64_t>(), Limits::max());
    return value.is_number_integer() && std::cmp_greater_equal(value.get<int64_t>(), Limits::min());
  } else if constexpr (std::is_floating_point_v<Member>) {
    return value.is_number();
  } else if constexpr (requires {
                         typename Member::value_type;
                         std::declval<Member>().push_back({});
                       } &&
                       !std::is_same_v<Member, std::string>) {
    return value.is_array() &&
           std::all_of(value.begin(), value.end(), holds<typename Member::value_type>);
  } else {
    return true;
  }
}

/// Every key that `set_field` takes: nested ones joined by dots.
template <HasFields Config>
std::vector<std::string> field_names(const Config& config, const std::string& prefix = "") {
  std::vector<std::string> names;
  Config::fields(config, [&](const char* name, const auto& member) {
    using Member = std::remove_cvref_t<decltype(member)>;
    if constexpr (HasFields<Member>) {
      for (auto& nested : field_names(member, prefix + name + "."))
        names.push_back(std::move(nested));
    } else {
      names.push_back(prefix + name);
    }
  });
  return names;
}

/// Overwrites the fields that `json` names and keeps the others. Throws UserError on an unknown key
/// (naming the nearest) or a value of another type. `where` opens the message: the file or the
/// command line.
template <HasFields Config>
void from_json(Config& config, const nlohmann::json& json, const std::string& where) {
  check_user(json.is_object(), where, ": expected a JSON object, found ",
             json.is_discarded() ? "something else; empty or damaged" : json.dump().substr(0, 80));
  std::vector<std::string> known;
  for (const auto& item : json.items()) {
    bool found = false;
    known.clear();
    Config::fields(config, [&](const char* name, auto& member) {
      using Member = std::remove_cvref_t<decltype(member)>;
      known.push_back(name);
      if (item.key() != name) return;
      found = true;
      if constexpr (HasFields<Member>) {
        from_json(member, item.value(), where + ": " + name);
      } else {
        bool fits = holds<Member>(item.value());
        try {
          if (fits) member = item.value().template get<Member>();
        } catch (const nlohmann::json::exception&) {
          fits = false;
        }
        check_user(fits, where, ": field \"", name, "\" cannot be ", item.value().dump(),
                   "; its default is ", nlohmann::json(member).dump());
      }
    });
    check_user(found, where, ": unknown field \"", item.key(), "\"; nearest: \"",
               nearest(item.key(), known), "\"");
  }
}

/// Applies one `key=value` of the command line; nested keys are joined by dots ("model.depth=9").
/// The value is read as JSON, and as a plain string where it is not JSON. Throws UserError as
/// `from_json` does.
template <HasFields Config>
void set_field(Config& config, const std::string& assignment) {
  const size_t equals = assignment.find('=');
  check_user(equals != std::string::npos && equals > 0, "\"", assignment, "\": expected key=value");
  const std::string key = assignment.substr(0, equals), text = assignment.substr(equals + 1);
  const std::vector<std::string> names = field_names(config);
  for (const std::string& name : names) {
    check_user(!name.starts_with(key + "."), "\"", key,
               "\" is a group of fields; name one, such as ", name);
  }
  check_user(std::find(names.begin(), names.end(), key) != names.end(), "unknown field \"", key,
             "\"; nearest: \"", nearest(key, names), "\"");
  nlohmann::json value = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) value = text;
  nlohmann::json nested;
  std::string pointer = "/" + key;
  std::replace(pointer.begin(), pointer.end(), '.', '/');
  nested[nlohmann::json::json_pointer(pointer)] = value;
  from_json(config, nested, "\"" + assignment + "\"");
}

}  // namespace i1
