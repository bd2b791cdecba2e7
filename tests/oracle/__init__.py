"""dkv beside a real server: the same requests to both, and the replies compared byte for byte."""
