"""The random numbers of the ``triton`` backend, which are those of every backend."""

import triton
import triton.language as tl


@triton.jit
def _mix(z):
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    return z ^ (z >> 31)


@triton.jit
def word(step_key, row, columns):
    """Return the words of :mod:`.counter` for rows and columns, from the key of the step."""
    neuron = (row + 1).to(tl.uint64) * 0x9E3779B97F4A7C15
    of_neuron = _mix(step_key.to(tl.uint64, bitcast=True) + neuron)
    h = (of_neuron & 0xFFFFFFFF).to(tl.uint32) + columns.to(tl.uint32) * 0x9E3779B9
    h = (h ^ (h >> 16)) * 0x21F0AAAD
    h = (h ^ (h >> 15) ^ (of_neuron >> 32).to(tl.uint32)) * 0xD35A2D97
    return h ^ (h >> 15)


@triton.jit
def normal(noise_key, row, columns, dtype: tl.constexpr):
    """Return the normal numbers of :mod:`.noise` for rows and columns, from the key of the loop."""
    k = word(noise_key, row, columns).to(tl.int32, bitcast=True)
    x = k.to(dtype) * (1 / 2147483648) + 1 / 4294967296
    # 1 - |x| from integers, since the difference would cancel in the tails.
    t = ((k ^ (k >> 31)) ^ 0x7FFFFFFF).to(dtype) * (1 / 2147483648) + 1 / 4294967296
    # z = x g(w): the polynomials of csrc/noise.hpp.
    w = -tl.log(t * (2 - t))
    return x * tl.where(w > 6, _tail((w - 11.25) / (w + 10)), _central(w - 3))


@triton.jit
def _central(v):
    g = 6.132752489702977762e-21
    g = g * v - 1.4437111134670954266e-20
    g = g * v - 5.5382687912898316486e-19
    g = g * v + 2.8865922966353303373e-18
    g = g * v + 1.820715736435365574e-17
    g = g * v - 2.2987663589779812838e-16
    g = g * v + 3.8757848610227775543e-16
    g = g * v + 8.9647031580853238826e-15
    g = g * v - 7.4853928509061116406e-14
    g = g * v + 8.7550871298646315056e-15
    g = g * v + 3.8169132339250581636e-12
    g = g * v - 2.4506254490801235021e-11
    g = g * v - 4.444244082515559115e-11
    g = g * v + 1.5709047809438021472e-9
    g = g * v - 7.7317586674035304919e-9
    g = g * v - 3.3500917959197788652e-8
    g = g * v + 6.3637549155177606485e-7
    g = g * v - 2.4720482722140373405e-6
    g = g * v - 1.7983737360546911559e-5
    g = g * v + 2.7585837048035221198e-4
    g = g * v - 0.0011825396095143892876
    g = g * v - 0.0081149486522773766608
    g = g * v + 0.34171699465347346034
    return g * v + 2.2960351246249896366


@triton.jit
def _tail(v):
    g = 1.4354452816452946832
    g = g * v + 1.3047398767504618336
    g = g * v + 0.50863460756301916674
    g = g * v + 0.90416917293299209231
    g = g * v + 1.1383880869576035063
    g = g * v + 0.76130200906438540699
    g = g * v + 0.70293431111735870673
    g = g * v + 0.92059371917022706642
    g = g * v + 1.100582031950428616
    g = g * v + 1.2424640407759026008
    g = g * v + 0.97970167785055161441
    g = g * v + 0.78963118937553295897
    g = g * v + 1.3386842545902920779
    g = g * v + 1.4842300854566521624
    g = g * v + 1.0291819371074306673
    g = g * v + 1.3653214774177762046
    g = g * v + 1.7246775122712546477
    g = g * v + 1.4777824278272178905
    g = g * v + 1.9036879597501882666
    g = g * v + 2.1966906128558941833
    g = g * v + 2.4408482246174989969
    g = g * v + 4.5079624541242861166
    return g * v + 4.5093462223043405091
