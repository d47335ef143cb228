"""Makes the descriptors of this folder: FILE-TOOL.b64 is what the code that TOOL generates for
FILE.proto holds, in base64.

    protoc --python_out=OUT --java_out=OUT --csharp_out=OUT --go_out=OUT *.proto
    python extract.py OUT

protoc 32.0 made them, and protoc-gen-go of the version in go.mod.
"""
import ast
import base64
import pathlib
import re
import sys


def strings(text):
    """The bytes of string literals of Java or Go, one behind the other."""
    out = b""
    for literal in re.findall(r'"((?:[^"\\]|\\.)*)"', text):
        for part in re.findall(r"\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\[0-7]{1,3}|\\.|[^\\]", literal):
            if part.startswith("\\u"):
                out += chr(int(part[2:], 16)).encode(sys.argv[2])
            elif len(part) > 1:
                out += ast.literal_eval('b"' + part + '"')
            else:
                out += part.encode(sys.argv[2])
    return out


def python(text):
    return ast.literal_eval(re.search(r"AddSerializedFile\((b'.*?')\)", text).group(1))


def java(text):
    sys.argv[2:] = ["latin-1"]
    return strings(re.search(r"descriptorData = \{(.*?)\};", text, re.S).group(1))


def csharp(text):
    return base64.b64decode(strings_of(re.search(r"string\.Concat\((.*?)\)\);", text, re.S).group(1)))


def strings_of(text):
    return "".join(re.findall(r'"([^"]*)"', text))


def go(text):
    sys.argv[2:] = ["utf-8"]
    return strings(re.search(r'_rawDesc = "" \+\n(.*?"\n)\n', text, re.S).group(1))


OUT = pathlib.Path(sys.argv[1])
for name in ("nested", "legacy", "edition"):
    for tool, pattern in {
        "python": f"**/{name}_pb2.py",
        "java": f"**/{name.capitalize()}*.java",
        "csharp": f"**/{name.capitalize()}.cs",
        "go": f"**/{name}.pb.go",
    }.items():
        source = next((f for f in OUT.glob(pattern) if "escriptor" in f.read_text()), None)
        if source is None:
            print("nothing by", tool, "for", name)
            continue
        raw = globals()[tool](source.read_text())
        pathlib.Path(f"{name}-{tool}.b64").write_text(base64.b64encode(raw).decode() + "\n")
