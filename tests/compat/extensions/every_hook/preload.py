def preload(parser):
    parser.add_argument("--every-hook-word", type=str, default="unset")
