"""Upscale pictures and videos.

python upscale.py photo.jpg
python upscale.py pictures/ -r 2 -o big/
python upscale.py --help
"""

from espcn.command.cli import main

if __name__ == "__main__":
    main()
