"""Makes the charts' library that ships with the bench, out of the package vl-convert-python.

    python -m bench.report.html.bundle

writes `assets/vega.min.js`. The same version of the package gives the same bytes, which a test
checks. Users of the bench need neither this nor the package.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from bench.core.files import write_atomically
from bench.report.html.library import LIBRARY

__all__ = ["library_script"]

#: What a page uses of it.
_WANTED = "window.vegaEmbed = vegaEmbed;"
_NOTICE = """\
/*!
 * {versions}
 * (https://vega.github.io), bundled by vl-convert {package}.
 * Copyright (c) 2015-2026, University of Washington Interactive Data Lab. All rights reserved.
 *
 * BSD 3-Clause License. Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions are met:
 *
 * 1. Redistributions of source code must retain the above copyright notice, this list of
 *    conditions and the following disclaimer.
 * 2. Redistributions in binary form must reproduce the above copyright notice, this list of
 *    conditions and the following disclaimer in the documentation and/or other materials
 *    provided with the distribution.
 * 3. Neither the name of the copyright holder nor the names of its contributors may be used to
 *    endorse or promote products derived from this software without specific prior written
 *    permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR
 * IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY
 * AND FITNESS FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR
 * CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR
 * CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
 * SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY
 * THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR
 * OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE
 * POSSIBILITY OF SUCH DAMAGE.
 *
 * It contains modules of D3 (Copyright 2010-2023 Mike Bostock, ISC License), fast-json-patch
 * (Copyright (c) 2013-2021 Joachim Wester, MIT License), json-stringify-pretty-compact (Copyright
 * (c) 2014-2024 Simon Lydell, MIT License), semver (Copyright (c) Isaac Z. Schlueter and
 * contributors, ISC License) and TopoJSON (Copyright 2012-2019 Michael Bostock, ISC License).
 */
"""


def library_script() -> str:
    """The script with its notice. Needs the package vl-convert-python, and some seconds."""
    import vl_convert

    versions = (
        f"Vega {vl_convert.get_vega_version()}, "
        f"Vega-Lite {vl_convert.get_vegalite_versions()[-1]} and "
        f"Vega-Embed {vl_convert.get_vega_embed_version()}"
    )
    notice = _NOTICE.format(versions=versions, package=metadata.version("vl-convert-python"))
    bundle = str(vl_convert.javascript_bundle(_WANTED)).rstrip("\n")
    # Nothing in it ends the element that it stands in, and its names are its own.
    script = bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    return f"{notice}(() => {{\n{script}\n}})();\n"


if __name__ == "__main__":
    write_atomically(Path(__file__).with_name("assets") / LIBRARY, library_script())
