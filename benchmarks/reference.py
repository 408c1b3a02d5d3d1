"""Times the reference's PyTorch code for benchmarks/compare.sh; prints one JSON line.

    python3 benchmarks/reference.py FOLDER guided_step --dtype bfloat16
    python3 benchmarks/reference.py FOLDER training_step
    python3 benchmarks/reference.py FOLDER decode --dtype bfloat16

FOLDER is a clone of github.com/zlab-princeton/i1. Weights are random: time does not depend on them.
"""

import argparse
import json
import resource
import statistics
import sys
import time

import torch


def measure(step, warm_up, repeats):
    for _ in range(warm_up):
        step()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begin)
    return seconds


def guided_step(options):
    """One guided step of XL (1.04 B) at 256 px: the batch is [conditional; unconditional], the adapter runs once before."""
    sys.path.insert(0, f"{options.folder}/torch_inference")
    import generate

    dtype = getattr(torch, "bfloat16" if options.dtype == "int8" else options.dtype)  # it has no int8
    torch.manual_seed(0)
    model = generate.i1DiT(
        input_size=options.resolution // 8, image_resolution=options.resolution, hidden_size=1152, num_heads=16
    ).to(dtype).eval()
    batch = 2
    latents = torch.randn(batch, 32, options.resolution // 8, options.resolution // 8, dtype=dtype)
    mask = torch.zeros(batch, 256, dtype=torch.bool)
    mask[:, : options.num_tokens] = True
    with torch.inference_mode():
        cache = model.prepare_forward_cache(torch.randn(batch, 256, 2304, dtype=dtype), mask, model.hw * model.hw)
        time_ = torch.zeros(batch, dtype=dtype)

        def step():
            velocity = model(latents, time_, None, mask, cache)
            cond, uncond = velocity.chunk(2)
            guided = cond + 11.0 * (cond - uncond)
            guided * (torch.std(cond.float()) / (torch.std(guided.float()) + 1e-8)).to(dtype)

        return measure(step, 1, options.repeats), 1


def training_step(options):
    """One optimizer step of the `nano` preset from cached latents and text states, under bfloat16 autocast."""
    sys.path.insert(0, f"{options.folder}/torch_train")
    from models.dit import DualStreamDiTConfig, i1DiT

    torch.manual_seed(0)
    model = i1DiT(DualStreamDiTConfig(
        input_size=options.resolution // 8, image_resolution=options.resolution, hidden_size=options.hidden_size,
        depth=options.depth, num_heads=options.hidden_size // 72, text_embed_dim=options.text_width,
        text_num_tokens=options.num_tokens))
    model.init_weights()
    ema = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-4, betas=(0.9, 0.95))
    batch = options.batch
    image = torch.randn(batch, 32, options.resolution // 8, options.resolution // 8)
    text = torch.randn(batch, options.num_tokens, options.text_width)
    mask = torch.zeros(batch, options.num_tokens, dtype=torch.bool)
    mask[:, : options.num_valid_tokens] = True

    def step():
        noise = torch.randn_like(image)
        t = torch.sigmoid(torch.randn(batch)).view(-1, 1, 1, 1)
        with torch.autocast("cpu", torch.bfloat16):
            velocity = model((1 - t) * noise + t * image, t.flatten(), text, mask, train=True)
        torch.nn.functional.mse_loss(velocity.float(), image - noise).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            torch._foreach_lerp_(ema, list(model.parameters()), 1 - 0.9999)

    return measure(step, 3, options.repeats), batch


def decode(options):
    """FLUX.2's decoder at 512 px as diffusers has it, which the reference's PyTorch program calls in bfloat16."""
    from diffusers import AutoencoderKLFlux2

    dtype = getattr(torch, options.dtype)
    torch.manual_seed(0)
    vae = AutoencoderKLFlux2().to(dtype).eval()
    latents = torch.randn(1, 32, options.resolution // 8, options.resolution // 8, dtype=dtype)
    with torch.inference_mode():
        return measure(lambda: vae.decode(latents), 1, options.repeats), 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("what", choices=["guided_step", "training_step", "decode"])
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--resolution", type=int, default=0)
    parser.add_argument("--num-tokens", type=int, default=40)
    parser.add_argument("--num-valid-tokens", type=int, default=12)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--hidden-size", type=int, default=288)
    parser.add_argument("--depth", type=int, default=9)
    parser.add_argument("--text-width", type=int, default=256)
    options = parser.parse_args()
    options.resolution = options.resolution or {"guided_step": 256, "training_step": 64, "decode": 512}[options.what]
    torch.set_num_threads(options.threads)
    seconds, items = {"guided_step": guided_step, "training_step": training_step, "decode": decode}[options.what](options)
    print(json.dumps({
        "what": options.what, "seconds_median": statistics.median(seconds), "seconds_min": min(seconds),
        "seconds_max": max(seconds), "repeats": len(seconds), "items_a_second": items / statistics.median(seconds),
        "peak_resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }))


if __name__ == "__main__":
    main()
