#include "i1/train/checkpoint.h"

#include <algorithm>
#include <cstdio>

#include "i1/core/config.h"
#include "i1/core/files.h"
#include "i1/io/safetensors.h"
#include "i1/io/tfrecord.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "checkpoint-";
constexpr int64_t kNumFallbacks = 2;  // the newest and the one before it

struct Part {
  const char* name;
  Net TrainState::*net;
};
constexpr Part kParts[] = {{"weights", &TrainState::weights},
                           {"ema", &TrainState::ema},
                           {"mu", &TrainState::mu},
                           {"nu", &TrainState::nu}};

fs::path file_of(const fs::path& folder, const Part& part) {
  return folder / (std::string(part.name) + ".safetensors");
}

uint32_t checksum(const fs::path& path) {
  const MappedFile file(path);
  return crc32c({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
}

TensorMap tensors_of(Net& net) {
  TensorMap tensors;
  for_each_tensor(net, "", [&](const std::string& key, at::Tensor& tensor) {
    if (tensor.defined()) tensors[key] = tensor.detach();
  });
  return tensors;
}

void remove_old(const fs::path& run, const TrainConfig& config) {
  std::vector<int64_t> steps = checkpoint_steps(run);
  const Due is_kept{config.keep_every, config.num_steps, /*at_first=*/false};
  for (size_t i = 0; i + kNumFallbacks < steps.size(); ++i) {
    if (!is_kept(steps[i])) fs::remove_all(checkpoint_folder(run, steps[i]));
  }
}

void read_part(Net& net, const fs::path& path, at::Device device) {
  const TensorMap tensors = read_safetensors(path).tensors;
  size_t num_used = 0;
  for_each_tensor(net, "", [&](const std::string& key, at::Tensor& tensor) {
    if (!tensor.defined()) return;
    const auto found = tensors.find(key);
    check_user(found != tensors.end() && found->second.sizes() == tensor.sizes() &&
                   found->second.scalar_type() == tensor.scalar_type(),
               path.string(), ": tensor \"", key, "\" is missing or does not fit the recipe");
    tensor = found->second.to(device).clone();  // writable: the file is mapped for reading
    ++num_used;
  });
  check_user(num_used == tensors.size(), path.string(), ": holds ", tensors.size(),
             " tensors, the recipe has ", num_used);
}

// state.json; throws UserError where it is not one.
nlohmann::json read_stored(const fs::path& folder) {
  const fs::path path = folder / "state.json";
  nlohmann::json stored = nlohmann::json::parse(read_file(path), nullptr, false);
  check_user(stored.is_object(), path.string(), ": not a JSON object");
  for (const char* key : {"step", "data", "checksums", "config"})
    check_user(stored.contains(key), path.string(), ": has no \"", key, "\"");
  check_user(stored["step"].is_number_unsigned() && stored["config"].is_object(), path.string(),
             ": \"step\" or \"config\" is of another kind");
  for (const Part& part : kParts) {
    check_user(stored["checksums"].is_object() && stored["checksums"].contains(part.name) &&
                   stored["checksums"][part.name].is_number_unsigned(),
               path.string(), ": has no checksum of \"", part.name, "\"");
  }
  return stored;
}

// The networks that `config` asks for and those of the checkpoint must be the same.
void check_same_networks(const nlohmann::json& stored, const TrainConfig& config,
                         const fs::path& folder) {
  const nlohmann::json asked = to_json(config);
  const auto compare = [&](const char* path) {
    const nlohmann::json::json_pointer pointer(path);
    const nlohmann::json found = stored["config"].value(pointer, nlohmann::json());
    for (const auto& item : nlohmann::json::diff(found, asked.at(pointer))) {
      throw UserError(concat(folder.string(), ": was trained with another ", path + 1,
                             " (differs at ", item["path"].get<std::string>(),
                             "); choose another --output"));
    }
  };
  compare("/model");
  compare("/text/is_trained");
  if (config.text.is_trained) compare("/text/config");
}

TrainState read_checkpoint(const fs::path& folder, const TrainConfig& config, at::Device device) {
  const fs::path state_path = folder / "state.json";
  const nlohmann::json stored = read_stored(folder);
  for (const Part& part : kParts) {
    const fs::path path = file_of(folder, part);
    const uint32_t expected = stored["checksums"][part.name], found = checksum(path);
    check_user(found == expected, path.string(), ": checksum ", found, ", expected ", expected);
  }
  TrainState state = initial_state(config, device);
  for (const Part& part : kParts) read_part(state.*part.net, file_of(folder, part), device);
  state.step = stored["step"];
  from_json(state.data, stored["data"], state_path.string());
  return state;
}

}  // namespace

fs::path checkpoint_folder(const fs::path& run, int64_t step) {
  char name[40];
  std::snprintf(name, sizeof name, "%s%09ld", kPrefix, static_cast<long>(step));
  return run / name;
}

std::vector<int64_t> checkpoint_steps(const fs::path& run) {
  std::vector<int64_t> steps;
  if (!fs::exists(run)) return steps;
  for (const auto& entry : fs::directory_iterator(run)) {
    const std::string name = entry.path().filename().string(),
                      digits = name.substr(std::min(name.size(), size_t{11}));
    const bool is_number =
        digits.size() == 9 && digits.find_first_not_of("0123456789") == std::string::npos;
    if (name.starts_with(kPrefix) && is_number) steps.push_back(std::stoll(digits));
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

void save_checkpoint(const fs::path& run, const TrainConfig& config, TrainState& state) {
  AtomicFolder folder(checkpoint_folder(run, state.step));
  nlohmann::ordered_json checksums;
  for (const Part& part : kParts) {
    const fs::path path = file_of(folder.partial(), part);
    write_safetensors(path, tensors_of(state.*part.net));
    checksums[part.name] = checksum(path);
  }
  const nlohmann::ordered_json stored = {{"step", state.step},
                                         {"data", to_json(state.data)},
                                         {"checksums", checksums},
                                         {"config", to_json(config)}};
  write_file_atomically(folder.partial() / "state.json", stored.dump(1));
  folder.commit();
  remove_old(run, config);
}

namespace {

// The newest one that is whole, under `config` or, without one, under its own.
TrainState load_newest_whole(const fs::path& run, const TrainConfig* config, at::Device device) {
  const std::vector<int64_t> steps = checkpoint_steps(run);
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const fs::path folder = checkpoint_folder(run, *step);
    std::optional<nlohmann::json> stored;
    try {
      stored = read_stored(folder);
    } catch (const UserError& error) {
      std::fprintf(stderr, "i1: passing over a damaged checkpoint: %s\n", error.what());
      continue;
    }
    TrainConfig own;
    if (config == nullptr) {
      from_json(own, (*stored)["config"], (folder / "state.json").string());
    } else {
      check_same_networks(*stored, *config, folder);
    }
    try {
      return read_checkpoint(folder, config == nullptr ? own : *config, device);
    } catch (const UserError& error) {
      std::fprintf(stderr, "i1: passing over a damaged checkpoint: %s\n", error.what());
    }
  }
  throw UserError(run.string() +
                  ": every checkpoint of this run is damaged; remove them to start anew");
}

}  // namespace

std::optional<TrainState> load_checkpoint(const fs::path& run, const TrainConfig& config,
                                          at::Device device) {
  if (checkpoint_steps(run).empty()) return std::nullopt;
  return load_newest_whole(run, &config, device);
}

TrainState load_newest_state(const fs::path& run, at::Device device) {
  check_user(!checkpoint_steps(run).empty(), run.string(), ": holds no checkpoint");
  return load_newest_whole(run, nullptr, device);
}

}  // namespace i1
