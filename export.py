"""Write the network to an ONNX file, for programs that know nothing of PyTorch.

python export.py -r 3 -o espcn_x3.onnx
python export.py --help
"""

from espcn.export.cli import main

if __name__ == "__main__":
    main()
