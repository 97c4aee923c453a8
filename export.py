"""Write the network to an ONNX file, for programs that know nothing of PyTorch.

python export.py -r 3 -o espcn_x3.onnx
python export.py --help
"""

import argparse
import sys


def main() -> None:
    """Read the arguments, and export one network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-r", type=int, metavar="R", help="the factor, 2, 3 or 4 (3)")
    parser.add_argument("-o", "--output", metavar="FILE", help="what to write (espcn_xR.onnx)")
    parser.add_argument("--ckpt", metavar="FILE", help="a checkpoint, or weights, of your own")
    given = parser.parse_args()
    from espcn.export.onnx import export  # torch: only when there is work to do

    try:
        print(f"Written to {export(given.r, given.ckpt, given.output)}")
    except (ValueError, OSError) as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
