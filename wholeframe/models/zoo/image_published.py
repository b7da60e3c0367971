"""Published figures of image networks: one function for each source, which turns a row of it into figures of a card.

Accuracies and errors are written "top-1/top-5".
"""

from wholeframe.models.zoo.card import Published, accuracy, error_rates

Figures = tuple[Published, ...]

GSOP_REPOSITORY = "ZilinGao/Global-Second-order-Pooling-Convolutional-Networks"
CGNL_REPOSITORY = "KaiyuYue/cgnl-network.pytorch"

CENTRING = "the released code centres by a product with a matrix of all positions; ours subtracts the mean"
KEYS = (
    "keys pooled before the projections, without the two products of the attention, give 4.11; the paper's code for "
    "this network was not released"
)
ELEMENTWISE = "counting the mean and the product or sum with every position gives the published figure"
EVERYTHING = "the source counts more than products: 4.12 for a plain ResNet-50, where ours is 4.09"
FEWER_WEIGHTS = "the mean has 14,349 weights fewer than the attention of att+add, which reduces 28.08 to 28.06"


def torchvision(top: str, parameters: str, g: str) -> Figures:
    source = "torchvision, table of weights, IMAGENET1K_V1"
    return (
        *accuracy(top, source),
        Published(parameters, "parameters", source),
        Published(g, "G multiply-adds", source),
    )


def senet(errors: str) -> Figures:
    return error_rates(errors, "hujie-frank/SENet, README")


def mmpretrain(top: str, m: str, g: str) -> Figures:
    source = "open-mmlab/mmpretrain@ee7f2e8, seresnet metafile"
    return (
        *accuracy(top, source),
        Published(m, "M parameters", source),
        Published(g, "G multiply-adds", source, differs=EVERYTHING),
    )


def gcnet(top: str, m: str, g: str, *, m_differs: str = "", g_differs: str = "") -> Figures:
    """Its multiply-adds are those of a stride in the first 1x1 convolution."""
    source = "Cao et al., GCNet (arXiv 1904.11492), table 4"
    return (
        *accuracy(top, source),
        Published(m, "M parameters", source, differs=m_differs),
        Published(g, "G multiply-adds", source, options={"stride": "1x1"}, differs=g_differs),
    )


def gcnet_code(parameters: str) -> Figures:
    return (Published(parameters, "parameters", "counted in xvjiarui/GCNet@029db540"),)


def cub(top: str) -> Figures:
    return accuracy(top, "Yue et al., CGNL (NeurIPS 2018), table 4b: CUB-200, 448 pixels, 200 classes")


def cgnl_readme(top: str) -> Figures:
    return accuracy(top, f"{CGNL_REPOSITORY}, README: ImageNet, fine-tuned")


def cgnl_readme_cub(top: str) -> Figures:
    return accuracy(top, f"{CGNL_REPOSITORY}, README: CUB-200, 448 pixels, 200 classes, best of several runs")


def cgnl_code(parameters: str, g: str = "") -> Figures:
    return _counted(parameters, g, f"counted in {CGNL_REPOSITORY}@33e348b")


def gsop(errors: str, parameters: str = "", multiply_adds: str = "", *, differs: str = "") -> Figures:
    """Sizes are multiples of ResNet-50's, to one digit.

    The table gives 3.86 G for ResNet-50, but the multiples fit 4.09 G, the count with the stride of the released code.
    """
    source = "Gao et al., GSoP, arXiv preprint of January 2019, table 5"
    if not parameters:
        return error_rates(errors, source)
    return (
        *error_rates(errors, source),
        Published(parameters, "x parameters", source, base="r50"),
        Published(multiply_adds, "x multiply-adds", source, base="r50", differs=differs),
    )


def gsop_readme(errors: str) -> Figures:
    return error_rates(errors, f"{GSOP_REPOSITORY}, README")


def gsop_code(parameters: str, g: str = "") -> Figures:
    return _counted(parameters, g, f"counted in {GSOP_REPOSITORY}@662a699", CENTRING)


def ecanet(m: str, g: str) -> Figures:
    source = "ECA-Net (CVPR 2020), its table, quoting GSoP: rounded multiples of ResNet-50, no count"
    return Published(m, "M parameters", source, confirmed=False), Published(g, "G multiply-adds", source, False)


def isqrt(errors: str) -> Figures:
    return error_rates(errors, "Li et al., iSQRT-COV (CVPR 2018), as in the README of jiangtaoxie/fast-MPN-COV")


def isqrt_readme(errors: str) -> Figures:
    return error_rates(errors, "jiangtaoxie/fast-MPN-COV, README: reproduced")


def _counted(parameters: str, g: str, source: str, differs: str = "") -> Figures:
    """Counts made by running the released code."""
    multiply_adds = (Published(g, "G multiply-adds", source, differs=differs),) if g else ()
    return (Published(parameters, "parameters", source), *multiply_adds)
