#include "i1/request.h"

#include "i1/core/config.h"

namespace i1 {
namespace {

// The shortest decimal that reads back as the same number.
std::string number(double value) { return nlohmann::json(value).dump(); }

}  // namespace

std::string shell_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string request_to_text(const Request& request) {
  // Prompts that are not UTF-8 are stored with replacement characters rather than refused.
  return to_json(request).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

Request request_from_text(const std::string& text, const std::string& where) {
  Request request;
  from_json(request, nlohmann::json::parse(text, nullptr, false), where);
  return request;
}

std::string command_line(const Request& request, const std::string& output) {
  std::string line =
      "i1 generate " + shell_quoted(request.prompt) + " --model " + shell_quoted(request.model);
  if (!request.text_encoder.empty())
    line += " --text-encoder " + shell_quoted(request.text_encoder);
  if (!request.vae.empty()) line += " --vae " + shell_quoted(request.vae);
  if (!request.negative_prompt.empty())
    line += " --negative-prompt " + shell_quoted(request.negative_prompt);
  line += concat(" --size ", request.width, "x", request.height, " --seed ", request.seed);
  if (request.prompt_index != 0) line += concat(" --first-prompt ", request.prompt_index);
  if (request.image_index != 0) line += concat(" --first-image ", request.image_index);
  line += concat(" --steps ", request.num_steps, " --cfg-scale ", number(request.guidance_scale),
                 " --cfg-rescale ", number(request.guidance_rescale));
  if (request.guidance_start != 0) line += " --guidance-start " + number(request.guidance_start);
  line += " --schedule " + request.schedule;
  if (request.schedule == "shifted") line += " --shift " + number(request.timestep_shift);
  if (request.decode_rows > 0) line += concat(" --decode-rows ", request.decode_rows);
  return line + " --dtype " + request.compute_dtype + " --output " + shell_quoted(output);
}

}  // namespace i1
