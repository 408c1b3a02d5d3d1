// The published files of i1 and of what goes with it: one list, read from top to bottom, in the
// form that --manifest takes. Sizes and SHA-256 stand where they are known for certain; for other
// large files the publisher's server names both as it answers, and that is what is checked then.
#include "i1/net/manifest.h"

namespace i1 {
namespace {

constexpr const char* kOfficial = R"json([
 {"name": "i1-3b", "part": "model", "what": "i1-3B, 1024 px: the final backbone",
  "address": "https://huggingface.co/zlab-princeton/i1-3B/resolve/main/",
  "page": "https://huggingface.co/zlab-princeton/i1-3B", "licence": "see its page",
  "files": [{"path": "1024_resolution_checkpoint_torch.pt"}]},

 {"name": "i1-3b-512", "part": "model", "what": "i1-3B after the stage of 512 px",
  "address": "https://huggingface.co/zlab-princeton/i1-3B/resolve/main/",
  "page": "https://huggingface.co/zlab-princeton/i1-3B", "licence": "see its page",
  "files": [{"path": "512_resolution_checkpoint_torch.pt"}]},

 {"name": "i1-3b-256", "part": "model", "what": "i1-3B after the stage of 256 px",
  "address": "https://huggingface.co/zlab-princeton/i1-3B/resolve/main/",
  "page": "https://huggingface.co/zlab-princeton/i1-3B", "licence": "see its page",
  "files": [{"path": "256_resolution_checkpoint_torch.pt"}]},

 {"name": "i1-1b", "part": "model", "what": "i1-1B, 1024 px: the smaller backbone",
  "address": "https://huggingface.co/zlab-princeton/i1-1B/resolve/main/",
  "page": "https://huggingface.co/zlab-princeton/i1-1B", "licence": "see its page",
  "files": [{"path": "1024_resolution_checkpoint_torch.pt"}]},

 {"name": "i1-1b-512", "part": "model", "what": "i1-1B after the stage of 512 px",
  "address": "https://huggingface.co/zlab-princeton/i1-1B/resolve/main/",
  "page": "https://huggingface.co/zlab-princeton/i1-1B", "licence": "see its page",
  "files": [{"path": "512_resolution_checkpoint_torch.pt"}]},

 {"name": "i1-1b-256", "part": "model", "what": "i1-1B after the stage of 256 px",
  "address": "https://huggingface.co/zlab-princeton/i1-1B/resolve/main/",
  "page": "https://huggingface.co/zlab-princeton/i1-1B", "licence": "see its page",
  "files": [{"path": "256_resolution_checkpoint_torch.pt"}]},

 {"name": "t5gemma-2b", "part": "text_encoder",
  "what": "T5Gemma 2B-2B UL2, instruction-tuned: the shards of its encoder, the tokenizer",
  "address": "https://huggingface.co/google/t5gemma-2b-2b-ul2-it/resolve/main/",
  "page": "https://huggingface.co/google/t5gemma-2b-2b-ul2-it",
  "licence": "Gemma Terms of Use", "is_gated": true,
  "files": [{"path": "config.json"},
            {"path": "tokenizer_config.json"},
            {"path": "tokenizer.json"},
            {"path": "model.safetensors.index.json", "has_shards": true, "skipped": "decoder."}]},

 {"name": "flux2-vae", "part": "vae",
  "what": "FLUX.2's autoencoder in bfloat16, as FLUX.2-klein-4B has it",
  "address": "https://huggingface.co/black-forest-labs/FLUX.2-klein-4B/resolve/main/vae/",
  "page": "https://huggingface.co/black-forest-labs/FLUX.2-klein-4B", "licence": "Apache-2.0",
  "files": [{"path": "config.json"},
            {"path": "diffusion_pytorch_model.safetensors", "size": 168120878,
             "sha256": "ca70d2202afe6415bdbcb8793ba8cd99fd159cfe6192381504d6c4d3036e0f04"}]},

 {"name": "flux2-dev-vae", "part": "vae",
  "what": "the same autoencoder from FLUX.2-dev, where the reference takes it",
  "address": "https://huggingface.co/black-forest-labs/FLUX.2-dev/resolve/main/vae/",
  "page": "https://huggingface.co/black-forest-labs/FLUX.2-dev",
  "licence": "FLUX Non-Commercial License", "is_gated": true,
  "files": [{"path": "config.json"}, {"path": "diffusion_pytorch_model.safetensors"}]},

 {"name": "flux1-vae", "part": "other",
  "what": "FLUX.1's autoencoder, for backbones trained on its latents (i1-1B and i1-3B are not)",
  "address": "https://huggingface.co/black-forest-labs/FLUX.1-schnell/resolve/main/vae/",
  "page": "https://huggingface.co/black-forest-labs/FLUX.1-schnell",
  "licence": "Apache-2.0", "is_gated": true,
  "files": [{"path": "config.json"},
            {"path": "diffusion_pytorch_model.safetensors", "size": 167666902,
             "sha256": "f5b59a26851551b67ae1fe58d32e76486e1e812def4696a4bea97f16604d40a3"}]},

 {"name": "qwen-image-vae", "part": "other",
  "what": "Qwen-Image's autoencoder, for backbones trained on its latents (likewise)",
  "address": "https://huggingface.co/Qwen/Qwen-Image/resolve/main/vae/",
  "page": "https://huggingface.co/Qwen/Qwen-Image", "licence": "Apache-2.0",
  "files": [{"path": "config.json"},
            {"path": "diffusion_pytorch_model.safetensors", "size": 253806966,
             "sha256": "0c8bc8b758c649abef9ea407b95408389a3b2f610d0d10fcb054fe171d0a8344"}]}
])json";

}  // namespace

const Manifest& official_manifest() {
  static const Manifest manifest = parse_manifest(kOfficial, "the official manifest");
  return manifest;
}

}  // namespace i1
