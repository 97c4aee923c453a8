"""Export the network to a file for programs without PyTorch; its ending chooses the format.

python export.py -r 3 -o espcn_x3.onnx
python export.py --help
"""

from espcn.export.cli import main

if __name__ == "__main__":
    main()
