#include "i1/data/digest.h"

#include <openssl/evp.h>

#include "i1/core/error.h"

namespace i1 {
namespace {

std::string hex_digest(std::string_view bytes, const EVP_MD* kind) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  check_machine(EVP_Digest(bytes.data(), bytes.size(), digest, &size, kind, nullptr) == 1,
                "OpenSSL does not compute this digest");
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    text += kDigits[digest[i] >> 4];
    text += kDigits[digest[i] & 15];
  }
  return text;
}

}  // namespace

std::string md5_hex(std::string_view bytes) { return hex_digest(bytes, EVP_md5()); }
std::string sha256_hex(std::string_view bytes) { return hex_digest(bytes, EVP_sha256()); }

}  // namespace i1
