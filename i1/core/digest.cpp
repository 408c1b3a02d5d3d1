#include "i1/core/digest.h"

#include <openssl/evp.h>

#include <memory>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/interrupt.h"

namespace i1 {
namespace {

class Digest {
 public:
  explicit Digest(const EVP_MD* kind) : state_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    check(EVP_DigestInit_ex(state_.get(), kind, nullptr));
  }

  void add(std::string_view bytes) {
    check(EVP_DigestUpdate(state_.get(), bytes.data(), bytes.size()));
  }

  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    check(EVP_DigestFinal_ex(state_.get(), digest, &size));
    constexpr const char* kDigits = "0123456789abcdef";
    std::string text;
    for (unsigned int i = 0; i < size; ++i) {
      text += kDigits[digest[i] >> 4];
      text += kDigits[digest[i] & 15];
    }
    return text;
  }

 private:
  static void check(int status) {
    check_machine(status == 1, "OpenSSL does not compute this digest");
  }

  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> state_;
};

std::string hex_digest(std::string_view bytes, const EVP_MD* kind) {
  Digest digest(kind);
  digest.add(bytes);
  return digest.hex();
}

}  // namespace

std::string md5_hex(std::string_view bytes) { return hex_digest(bytes, EVP_md5()); }
std::string sha256_hex(std::string_view bytes) { return hex_digest(bytes, EVP_sha256()); }

std::string sha256_of_file(const std::filesystem::path& path) {
  constexpr size_t kPiece = 64 << 20;
  const MappedFile file(path);
  const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()),
                               file.bytes().size());
  Digest digest(EVP_sha256());
  for (size_t begin = 0; begin < bytes.size(); begin += kPiece) {
    check_interrupt();
    digest.add(bytes.substr(begin, kPiece));
    MappedFile::forget_pages();
  }
  return digest.hex();
}

}  // namespace i1
