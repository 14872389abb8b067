"""Right solutions of apply_rope that look different."""

import torch

from minillm.course.testing import variant


@variant("apply_rope")
def rotate_half(x, cos, sin):
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), -1)
    return x * torch.cat((cos, cos), -1) + turned * torch.cat((sin, sin), -1)


@variant("apply_rope")
def complex_numbers(x, cos, sin):
    x1, x2 = x.chunk(2, -1)
    turned = torch.complex(x1.contiguous(), x2.contiguous()) * torch.complex(cos, sin)
    return torch.cat((turned.real, turned.imag), -1)


@variant("apply_rope")
def einsum_of_matrices(x, cos, sin):
    B, H, T, K = x.shape
    matrices = torch.stack((torch.stack((cos, -sin)), torch.stack((sin, cos))))  # (2, 2, T, K/2)
    return torch.einsum("ijtk,bhtjk->bhtik", matrices, x.reshape(B, H, T, 2, K // 2)).reshape(B, H, T, K)


@variant("apply_rope")
def position_by_position(x, cos, sin):
    half = x.shape[-1] // 2
    out = torch.empty_like(x)
    for t in range(x.shape[2]):
        a, b = x[:, :, t, :half], x[:, :, t, half:]
        out[:, :, t, :half] = a * cos[t] - b * sin[t]
        out[:, :, t, half:] = b * cos[t] + a * sin[t]
    return out


@variant("apply_rope")
def in_float64(x, cos, sin):
    x1, x2 = torch.tensor_split(x.double(), 2, dim=-1)
    cos, sin = cos.double()[None, None], sin.double()[None, None]
    return torch.cat([x1 * cos - x2 * sin, x2 * cos + x1 * sin], dim=3)
