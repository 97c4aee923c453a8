"""Write the network to a file for programs that know nothing of PyTorch; its ending is its format.

python export.py -r 3 -o espcn_x3.onnx
python export.py --help
"""

from espcn.export.cli import main

if __name__ == "__main__":
    main()
