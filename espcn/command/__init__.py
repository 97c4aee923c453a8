"""The command `espcn-upscale`: its arguments, its work on many files, its output."""
